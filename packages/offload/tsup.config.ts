import { bundle } from '../../tsup.base.js'

// `worker` is no export: it is the script of each thread, found beside the others.
export default bundle(['index', 'express', 'fastify', 'koa', 'tasks', 'worker'])
