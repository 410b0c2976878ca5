export { type CloseOptions, RejectedError } from '@spillway/kit'
