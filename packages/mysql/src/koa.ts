import { addLate } from '@spillway/kit'
import type { Context, Middleware } from 'koa'
import { Attachment, type AttachOptions } from './http/attach.js'
import type { MysqlPool } from './pool.js'
import type { TransactionOptions } from './session/queryable.js'
import type { MysqlSession } from './session/session.js'
import type { Transaction } from './session/transaction.js'

export { type AttachOptions, type CarryOptions, closeWith } from './http/attach.js'

declare module 'koa' {
  interface DefaultState {
    /** There behind {@link mysqlPool}. */
    mysql: MysqlSession
  }
}

/**
 * Gives each request a session of the pool as `ctx.state.mysql`: it reads its own writes, and its statements stop when
 * its client leaves. Close the pool with {@link closeWith}.
 *
 * ```ts
 * app.use(mysqlPool(pool))
 * app.use(async (ctx) => { ctx.body = await ctx.state.mysql.one('SELECT * FROM users WHERE id = ?', [7]) })
 * ```
 *
 * @throws TypeError | RangeError `ERR_MYSQL_OPTION`
 */
export function mysqlPool(pool: MysqlPool, options?: AttachOptions): Middleware {
  const attachment = new Attachment(pool, options)
  return (ctx, next) => {
    const { session, headers } = attachment.attach(ctx.req, ctx.res)
    ctx.state.mysql = session
    // Not after `next`: an error would skip it, and Koa removes all headers from the answer to one.
    if (attachment.addsHeaders) addLate(ctx.res, headers)
    return next()
  }
}

/**
 * A middleware whose handler runs in one transaction. What it returns becomes `ctx.body` after COMMIT; when it throws,
 * the transaction is rolled back. It may run more than once.
 */
export function transactional(
  handler: (tx: Transaction, ctx: Context) => unknown,
  options?: TransactionOptions,
): Middleware {
  return async (ctx) => {
    const { mysql } = ctx.state as { mysql: MysqlSession }
    ctx.body = await mysql.transaction(async (tx) => handler(tx, ctx), options)
  }
}
