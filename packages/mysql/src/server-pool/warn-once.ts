import type { Holder } from '../errors.js'
import type { MysqlNode } from './server-pool.js'

/** What a node tells the pool it belongs to. */
export interface NodeHooks {
  leak(node: MysqlNode, holder: Holder): void
  warning(node: MysqlNode, message: string): void
  /** It refused a write because it is read-only. */
  readOnly(node: MysqlNode): void
  /** Its last connection broke: it may have been started again. */
  lost(node: MysqlNode): void
  /** It could not be reached, or was reached again. */
  reachable(node: MysqlNode, yes: boolean): void
}

/** Tells each message once. */
export function once(tell: (message: string) => void): (message: string) => void {
  const told = new Set<string>()
  return (message) => {
    if (told.has(message)) return
    told.add(message)
    tell(message)
  }
}
