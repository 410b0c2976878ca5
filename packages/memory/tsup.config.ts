import { bundle } from '../../tsup.base.js'

// `diff-worker` is no export: it is the script of the thread that compares snapshots, found beside the others.
export default bundle(['index', 'express', 'fastify', 'koa', 'diff-worker'])
