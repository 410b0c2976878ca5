import { crossShard, outside } from '../errors.js'
import type { PoolContext, PoolIdentity } from '../pool-context.js'
import { currentTransaction, type Transaction } from './transaction.js'

/**
 * The transaction that a call on the pool must join because it is made within; `undefined` when there is none, or the call
 * may run outside of it.
 *
 * @throws TypeError `ERR_MYSQL_OUTSIDE_TRANSACTION` | `ERR_MYSQL_CROSS_SHARD`
 */
export function enclosingTransaction({ identity, options }: PoolContext): Transaction | undefined {
  const current = currentTransaction()
  if (current === undefined) return undefined
  const { name, group } = identity
  const pool = current.pool as PoolIdentity
  if (pool !== identity) {
    if (group !== undefined && group === pool.group) throw crossShard(pool.name, name)
    return undefined
  }
  if (options.insideTransaction === 'join') return current.transaction
  if (options.insideTransaction === 'allow') return undefined
  throw outside(
    'The pool was used inside a transaction of it: the statement would not be part of the transaction, and waits for a connection while holding one. Use the transaction, or the option insideTransaction',
  )
}
