import { describeNotes } from '../../express/test/notes.js'

describeNotes('Koa', new URL('../app.mjs', import.meta.url))
