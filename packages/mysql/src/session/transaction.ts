import { AsyncLocalStorage } from 'node:async_hooks'
import { Backoff, sleep } from '@spillway/kit'
import type { FieldPacket, QueryResult } from 'mysql2'
import { retryChannel } from '../channels.js'
import { classify, isConnectionFailure } from '../errno.js'
import {
  crossShard,
  MysqlCommitUnknownError,
  MysqlConnectionLostError,
  MysqlTimeoutError,
  misplaced,
  outside,
  released,
} from '../errors.js'
import type { PoolContext, PoolIdentity } from '../pool-context.js'
import type { AcquireTraces } from '../server-pool/acquire-traces.js'
import type { ServerPool } from '../server-pool/server-pool.js'
import type { Statement } from '../statement/statement.js'
import { borrow } from './borrow.js'
import {
  bothOf,
  type CallContext,
  type CallPlace,
  leftOf,
  MysqlConnection,
  run,
  timeoutOf,
} from './connection.js'
import type { Isolation, QueryOptions, TransactionOptions } from './queryable.js'

/** The transaction whose function runs now, and the pool it belongs to. */
export interface Current {
  readonly pool: object
  readonly transaction: Transaction
}

const current = new AsyncLocalStorage<Current>()
let open = 0

/** The transaction that the caller runs in. Costs next to nothing while there is none. */
export function currentTransaction(): Current | undefined {
  return open === 0 ? undefined : current.getStore()
}

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

/** A transaction in progress. It ends with the function it was given to: by COMMIT, or by ROLLBACK when that throws. */
export class Transaction extends MysqlConnection {
  readonly #depth: number
  readonly #outer: Transaction | undefined
  #inner = false
  #rollbackCause: unknown

  /** @internal */
  constructor(context: CallContext, place: Required<CallPlace>, outer?: Transaction) {
    super(context, place)
    this.#outer = outer
    this.#depth = outer === undefined ? 0 : outer.#depth + 1
  }

  /** @internal The error with which the server rolled back everything, whoever caught it. */
  get rollbackCause(): unknown {
    return this.#rollbackCause
  }

  /**
   * A part that can be undone by itself (SAVEPOINT). When the function throws, what it did is rolled back, and the
   * error goes on to the outer one, which may catch it.
   */
  async transaction<T>(work: (tx: Transaction) => Promise<T> | T): Promise<T> {
    const name = `spillway_${this.#depth + 1}`
    if (this.over) throw released('transaction')
    if (this.#rollbackCause !== undefined) throw this.#rollbackCause
    if (this.#inner) throw misplaced('The nested transaction must end before the outer one goes on')
    await this.#own(`SAVEPOINT ${name}`)
    this.#inner = true
    const inner = new Transaction(this.context, this.place, this)
    try {
      const result = await work(inner)
      inner.finish()
      this.#inner = false
      await this.#own(`RELEASE SAVEPOINT ${name}`)
      return result
    } catch (error) {
      inner.finish()
      this.#inner = false
      // When everything is rolled back, or the connection lost, there is no savepoint to go back to.
      if (this.#rollbackCause === undefined && !this.place.connection.isBroken)
        await this.#own(`ROLLBACK TO SAVEPOINT ${name}`)
      throw error
    }
  }

  protected override check({ control }: Statement): void {
    if (this.#inner) throw misplaced('The nested transaction must end before the outer one goes on')
    if (control !== undefined) {
      throw misplaced(
        control === 'commits'
          ? 'This statement would commit the transaction: run it outside'
          : 'BEGIN, COMMIT and ROLLBACK are what transaction() does: return to commit, throw to roll back',
      )
    }
  }

  protected override async call<T extends QueryResult>(
    sql: string,
    prepared: boolean,
    values: readonly unknown[] | undefined,
    options: QueryOptions | undefined,
  ): Promise<[T, FieldPacket[]]> {
    // What comes after would run, and stay, outside of any transaction.
    if (this.#rollbackCause !== undefined) throw this.#rollbackCause
    try {
      return await super.call<T>(sql, prepared, values, options)
    } catch (error) {
      if (rollsBackAll(error, this.place.node)) this.#end(error)
      throw error
    }
  }

  protected override get what(): string {
    return 'transaction'
  }

  #end(error: unknown): void {
    this.place.connection.session.rolledBack()
    this.#rollbackCause = error
    if (this.#outer !== undefined) this.#outer.#end(error)
  }

  async #own(sql: string): Promise<void> {
    await command(this.context, this.place, sql)
  }
}

/** A deadlock undoes the whole transaction, and so does a lock timeout where the server is set to that. */
function rollsBackAll(error: unknown, node: ServerPool): boolean {
  const { kind } = classify(error)
  return kind === 'deadlock' || (kind === 'lock-wait' && node.rollsBackOnLockTimeout)
}

/** A statement of ours on the held connection, with the deadline of the user's statements. */
async function command(context: CallContext, place: Required<CallPlace>, sql: string) {
  const { session } = place.connection
  const { isDirty } = session
  await run(context, place, context.statements.of(sql), false, undefined, undefined)
  // BEGIN and SAVEPOINT count as session state in what users write, and are undone by us here.
  if (!isDirty) session.unsoil()
}

export interface TransactionHost extends CallContext {
  readonly pool: object
  readonly traces: AcquireTraces
  /** Where writes go now. */
  writer(): ServerPool
  retried(attempt: number): void
}

/** Milliseconds before the next attempt: any up to a bound that doubles ("full jitter", Brooker, AWS, 2015). */
const RETRY_PAUSE = { first: 10, max: 1_000, jitter: 1 } as const

/** Where it failed decides whether it may be run again. */
type Stage = 'begin' | 'work' | 'commit'

/** Runs the function in a transaction, again from its start when the server says that this may help. */
export async function transact<T>(
  host: TransactionHost,
  work: (tx: Transaction) => Promise<T> | T,
  options: TransactionOptions,
  retries: number,
): Promise<T> {
  const signal = bothOf(options.signal, host.signal)
  const timeout = options.timeout === undefined ? host.timeout : timeoutOf(options.timeout)
  const outer: CallContext = { statements: host.statements, owner: host.owner, timeout }
  const inner: CallContext = { ...outer, signal, deadlineAt: host.deadlineAt }
  const trace = host.traces.above(transact, host.writer().clock.now())
  const backoff = new Backoff(RETRY_PAUSE)
  for (let attempt = 0; ; attempt++) {
    const writer = host.writer()
    const place = await borrow(writer, { timeout: leftOf(inner, writer), signal, trace })
    const { node, connection } = place
    let stage: Stage = 'begin'
    const tx = new Transaction(inner, place)
    try {
      await begin(inner, place, options)
      stage = 'work'
      open++
      let result: T
      try {
        result = await current.run({ pool: host.pool, transaction: tx }, async () => work(tx))
      } finally {
        open--
        tx.finish()
      }
      signal?.throwIfAborted()
      if (tx.rollbackCause !== undefined) throw tx.rollbackCause
      if (connection.isBroken) throw lost(node)
      stage = 'commit'
      await command(outer, place, 'COMMIT')
      return result
    } catch (error) {
      if (stage === 'commit' && isUncertain(error)) throw new MysqlCommitUnknownError(node.name, error)
      await rollBack(outer, place)
      const reason = mayHelp(error, stage)
      if (reason === undefined || attempt >= retries || signal?.aborted) throw error
      host.retried(attempt + 1)
      retryChannel.publish(() => ({
        pool: node.pool,
        node: node.name,
        what: 'transaction',
        attempt: attempt + 1,
        reason,
      }))
    } finally {
      node.release(connection)
    }
    await sleep(backoff.fail(), { signal, ref: true })
  }
}

const ISOLATION: Readonly<Record<Isolation, string>> = {
  'read uncommitted': 'READ UNCOMMITTED',
  'read committed': 'READ COMMITTED',
  'repeatable read': 'REPEATABLE READ',
  serializable: 'SERIALIZABLE',
}

async function begin(
  context: CallContext,
  place: Required<CallPlace>,
  options: TransactionOptions,
): Promise<void> {
  const { isolation, readOnly } = options
  if (isolation !== undefined) {
    const level = ISOLATION[isolation]
    if (level === undefined) throw misplaced(`There is no isolation level "${isolation}"`)
    await command(context, place, `SET TRANSACTION ISOLATION LEVEL ${level}`)
  }
  await command(context, place, readOnly ? 'START TRANSACTION READ ONLY' : 'START TRANSACTION')
}

async function rollBack(context: CallContext, place: Required<CallPlace>): Promise<void> {
  if (place.connection.isBroken || !place.connection.session.inTransaction) return
  // A connection on which even this fails is not to be used again.
  await command(context, place, 'ROLLBACK').catch(() => place.connection.destroy())
}

/** The answer to COMMIT did not come, so it may have been done. */
function isUncertain(error: unknown): boolean {
  return (
    error instanceof MysqlConnectionLostError ||
    error instanceof MysqlTimeoutError ||
    isConnectionFailure(error)
  )
}

/** Why running it again may help: nothing of it has happened, and the reason is not in it. */
function mayHelp(error: unknown, stage: Stage): string | undefined {
  if (error instanceof MysqlConnectionLostError) {
    return error.inTransaction || stage === 'begin' ? error.code : undefined
  }
  const { kind } = classify(error)
  return kind === 'deadlock' || kind === 'lock-wait' || kind === 'read-only' ? kind : undefined
}

function lost(node: ServerPool): MysqlConnectionLostError {
  return new MysqlConnectionLostError(node.name, { cause: undefined, inTransaction: true, outcome: 'none' })
}
