import { borrow } from './borrow.js'
import { killChannel } from './channels.js'
import { isConnectionFailure, presentable } from './errno.js'
import { MysqlConnectionLostError, MysqlTimeoutError } from './errors.js'
import type { Link } from './link.js'
import type { MysqlNode } from './node.js'
import type { Statement } from './statement.js'
import { after } from './timer.js'
import { checkText, format } from './values.js'

export interface RowStream {
  readonly statement: Statement
  readonly values: readonly unknown[] | undefined
  /** Milliseconds until the connection is there, and between two rows while the loop waits for one. */
  readonly timeout: number
  readonly signal: AbortSignal | undefined
  readonly readAhead: number
  readonly stack: (() => string | undefined) | undefined
}

/**
 * The rows of a statement, one by one. The server's sending is held back to the pace of the loop; leaving the loop
 * early stops the statement on the server.
 */
export async function* rowsOf(
  node: MysqlNode,
  asked: RowStream,
): AsyncGenerator<Record<string, unknown>, void> {
  const { statement, values, timeout, signal, stack } = asked
  const { scan, sql } = statement
  checkText(scan, values)
  const { deadlines } = node
  const link = await borrow(node, { deadlineAt: node.now() + timeout, signal, stack })
  link.sql = sql
  if (statement.dirties) link.dirty = true
  const rows = link.stream(format(sql, scan, values, node.format), asked.readAhead)
  const ended = new Promise<void>((resolve) => rows.once('close', resolve))
  let late = false
  const stop = (error: unknown) => rows.destroy(error as Error)
  const onAbort = () => stop(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  let finished = false
  try {
    const iterator = rows[Symbol.asyncIterator]()
    for (;;) {
      const limit = after(deadlines, node.now() + timeout, () => {
        late = true
        stop(new MysqlTimeoutError(timeout, 'stream', 'none', sql))
      })
      const next = await iterator.next().finally(() => deadlines.remove(limit))
      if (next.done) break
      yield next.value as Record<string, unknown>
    }
    signal?.throwIfAborted()
    if (link.broken) throw lost(node, sql, undefined)
    finished = true
  } catch (error) {
    // The server's own error ends the statement.
    finished = !late && !signal?.aborted && !isConnectionFailure(error) && 'errno' in (error as object)
    if (isConnectionFailure(error)) throw lost(node, sql, error)
    throw presentable(error, sql)
  } finally {
    signal?.removeEventListener('abort', onAbort)
    rows.destroy()
    await ended
    if (!finished) await quieten(node, link, late ? 'timeout' : signal?.aborted ? 'abort' : 'stream')
    node.release(link)
  }
}

/** Stops the statement, and waits for the end of what the server still sends, but not for long. */
async function quieten(node: MysqlNode, link: Link, reason: 'timeout' | 'abort' | 'stream'): Promise<void> {
  if (link.broken) return
  const { deadlines, options } = node
  let how: 'stopped' | 'cut' = 'stopped'
  const cut = () => {
    how = 'cut'
    link.destroy()
  }
  const limit = after(deadlines, node.now() + Math.max(1, options.killGrace), cut)
  // What the server still sends must not hold up its answer to the kill.
  link.pause()
  try {
    const killed = node.kill(link)
    if (killed === undefined) cut()
    else {
      await killed
      link.resume()
      // Answered only after everything before it: what is left of the rows is dropped until then.
      await link.command('DO 0')
    }
  } catch (error) {
    if (isConnectionFailure(error) || link.broken) cut()
  } finally {
    deadlines.remove(limit)
    killChannel.publish(() => ({ pool: node.pool, node: node.name, reason, how }))
  }
}

function lost(node: MysqlNode, sql: string, cause: unknown): MysqlConnectionLostError {
  return new MysqlConnectionLostError(node.name, { cause, sql, inTransaction: false, outcome: 'none' })
}
