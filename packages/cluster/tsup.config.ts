import { bundle } from '../../tsup.base.js'

export default bundle(['index', 'express', 'fastify', 'koa', 'cli'])
