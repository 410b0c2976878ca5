import { bundle } from '../../tsup.base.js'

// `agent` is preloaded in every worker and `watchdog` is a thread of it; neither is for import.
export default bundle(['index', 'express', 'fastify', 'koa', 'cli', 'agent', 'watchdog'])
