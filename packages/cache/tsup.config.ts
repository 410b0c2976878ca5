import { bundle } from '../../tsup.base.js'

// devalue is ESM only: `require('@spillway/cache')` would fail under Jest, and on Node before 20.19.
export default bundle(['index', 'express', 'fastify', 'koa'], { inline: ['devalue'] })
