import { isDeparture } from '@spillway/kit'
import { muteError, plugin } from '@spillway/kit/fastify'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { type Attached, Attachment, type AttachOptions } from './http/attach.js'
import type { MysqlPool } from './pool.js'
import type { TransactionOptions } from './session/queryable.js'
import type { MysqlSession } from './session/session.js'
import type { Transaction } from './session/transaction.js'

export type { AttachOptions, CarryOptions } from './http/attach.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** There when {@link mysqlPool} is registered. */
    mysql: MysqlSession
  }
}

export interface FastifyMysqlPoolOptions extends AttachOptions {
  readonly pool: MysqlPool
  /** Close the pool with the app. Default: true. */
  readonly close?: boolean
}

/**
 * Gives each request a session of the pool as `request.mysql`: it reads its own writes, and its statements stop when
 * its client leaves. The pool is closed with the app.
 *
 * ```ts
 * await app.register(mysqlPool, { pool })
 * app.get('/users/:id', (request) => request.mysql.one('SELECT * FROM users WHERE id = ?', [request.params.id]))
 * ```
 *
 * @throws TypeError | RangeError `ERR_MYSQL_OPTION`
 */
export const mysqlPool: FastifyPluginAsync<FastifyMysqlPoolOptions> = plugin(
  '@spillway/mysql',
  async (app: FastifyInstance, { pool, close = true, ...options }: FastifyMysqlPoolOptions) => {
    const attachment = new Attachment(pool, options)
    const all = new WeakMap<FastifyRequest, Attached>()
    if (!app.hasRequestDecorator('mysql')) app.decorateRequest('mysql')
    app.addHook('onRequest', (request, reply, done) => {
      const attached = attachment.attach(request.raw, reply.raw, (error) => {
        if (isDeparture(error, reply.raw)) muteError(reply, error)
      })
      request.mysql = attached.session
      if (attachment.addsHeaders) all.set(request, attached)
      done()
    })
    if (attachment.addsHeaders) {
      app.addHook('onSend', (request, reply, _payload, done) => {
        for (const [name, value] of all.get(request)?.headers() ?? []) reply.header(name, value)
        done()
      })
    }
    if (close) app.addHook('onClose', () => pool.close())
  },
)

/**
 * A route handler that runs in one transaction. What it returns is sent after COMMIT; when it throws, the transaction
 * is rolled back. It may run more than once.
 */
export function transactional<Req extends FastifyRequest = FastifyRequest>(
  handler: (tx: Transaction, request: Req, reply: FastifyReply) => unknown,
  options?: TransactionOptions,
): (request: Req, reply: FastifyReply) => Promise<unknown> {
  return (request, reply) => request.mysql.transaction(async (tx) => handler(tx, request, reply), options)
}

export default mysqlPool
