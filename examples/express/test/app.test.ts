import { describeNotes } from './notes.js'

describeNotes('Express', new URL('../app.mjs', import.meta.url))
