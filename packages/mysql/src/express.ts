import { addLate } from '@spillway/kit'
import { haveLastWord, refuse } from '@spillway/kit/express'
import type { Request, RequestHandler, Response } from 'express'
import { Attachment, type AttachOptions } from './http/attach.js'
import type { MysqlPool } from './pool.js'
import type { TransactionOptions } from './session/queryable.js'
import type { MysqlSession } from './session/session.js'
import type { Transaction } from './session/transaction.js'

export { type AttachOptions, type CarryOptions, closeWith } from './http/attach.js'

declare global {
  namespace Express {
    interface Request {
      /** There behind {@link mysqlPool}. */
      mysql: MysqlSession
    }
  }
}

/**
 * Gives each request a session of the pool as `req.mysql`: it reads its own writes, and its statements stop when its
 * client leaves. Close the pool with {@link closeWith}. A refusal that no error handler of the app answers is answered here.
 *
 * ```ts
 * app.use(mysqlPool(pool))
 * app.get('/users/:id', async (req, res) => res.json(await req.mysql.one('SELECT * FROM users WHERE id = ?', [req.params.id])))
 * ```
 *
 * @throws TypeError | RangeError `ERR_MYSQL_OPTION`
 */
export function mysqlPool(pool: MysqlPool, options?: AttachOptions): RequestHandler {
  const attachment = new Attachment(pool, options)
  return (req, res, next) => {
    const { session, headers } = attachment.attach(req, res, () => haveLastWord(req))
    req.mysql = session
    if (attachment.addsHeaders) addLate(res, headers)
    next()
  }
}

/**
 * A route whose handler runs in one transaction. What it returns is sent as JSON after COMMIT; when it throws, the
 * transaction is rolled back and the error goes to the app's error handler. It may run more than once.
 */
export function transactional<Req extends Request = Request>(
  handler: (tx: Transaction, req: Req, res: Response) => unknown,
  options?: TransactionOptions,
): RequestHandler {
  return (req, res, next) => {
    req.mysql
      .transaction(async (tx) => handler(tx, req as Req, res), options)
      .then((body) => {
        if (!res.headersSent) res.json(body)
      })
      .catch((error) => refuse(error, res, next))
  }
}
