/**
 * The part of an ioredis client (5 or 6: `Redis`, with Sentinel or without, or `Cluster`) that the store uses. The
 * client is the user's: how it connects and when it gives up is theirs to choose, and so is closing it.
 */
export interface RedisClient {
  /** Sends any command; bulk replies come as buffers. */
  callBuffer(command: string, ...args: (string | number)[]): Promise<unknown>
  // biome-ignore lint/suspicious/noExplicitAny: the listeners of EventEmitter
  on(event: string, listener: (...args: any[]) => void): unknown
  // biome-ignore lint/suspicious/noExplicitAny: the listeners of EventEmitter
  off(event: string, listener: (...args: any[]) => void): unknown
  readonly isCluster?: boolean
  readonly options?: object
}

/** What ioredis has beyond {@link RedisClient}, found at run time. */
interface Extras {
  readonly slots?: readonly (readonly string[] | undefined)[]
}

/** Whether the client may send a command again whose answer was lost with the connection. */
export function mayResend({ isCluster, options }: RedisClient): boolean {
  return isCluster === true || (options as Record<string, unknown>)?.autoResendUnfulfilledCommands !== false
}

/** The master of a slot, as far as the client knows: `host:port`, or `''`. */
export function masterOf(client: RedisClient, slot: number): string {
  return (client as Extras).slots?.[slot]?.[0] ?? ''
}

interface Ready {
  readonly listeners: Set<() => void>
  stop(): void
}

const readies = new WeakMap<RedisClient, Ready>()

/** Calls `listener` when the client is ready again, with one listener for all stores over it; returns how to stop. */
export function whenReady(client: RedisClient, listener: () => void): () => void {
  const { listeners, stop } = readies.get(client) ?? readyOf(client)
  listeners.add(listener)
  return () => {
    if (listeners.delete(listener) && listeners.size === 0) stop()
  }
}

function readyOf(client: RedisClient): Ready {
  const listeners = new Set<() => void>()
  const relay = () => {
    for (const listener of listeners) listener()
  }
  const stop = () => {
    client.off('ready', relay)
    readies.delete(client)
  }
  client.on('ready', relay)
  const made = { listeners, stop }
  readies.set(client, made)
  return made
}

/** Whether a node (`''`: as long as none is known) is the master of any slot. */
export function isMaster(client: RedisClient, node: string): boolean {
  const { slots } = client as Extras
  return slots === undefined || slots.length === 0 || slots.some((nodes) => nodes?.[0] === node)
}
