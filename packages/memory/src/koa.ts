export { RejectedError } from '@spillway/kit'
