import { describeNotes } from '../../express/test/notes.js'

describeNotes('Fastify', new URL('../app.mjs', import.meta.url))
