import type { RedisCommand } from '@spillway/kit'

export type { RedisCommand }

/**
 * The part of an ioredis client (5 or 6: `Redis`, with Sentinel or without, or `Cluster`) that the store uses. The
 * client is the user's: how it connects and when it gives up is theirs to choose, and so is closing it.
 */
export interface RedisClient {
  readonly status: string
  readonly isCluster?: boolean
  readonly options?: object
  createBuiltinCommand(name: string): { readonly string: RedisCommand; readonly buffer: RedisCommand }
  connect(): Promise<unknown>
  // biome-ignore lint/suspicious/noExplicitAny: the listeners of EventEmitter
  on(event: string, listener: (...args: any[]) => void): unknown
  // biome-ignore lint/suspicious/noExplicitAny: the listeners of EventEmitter
  off(event: string, listener: (...args: any[]) => void): unknown
}

/** A connection of our own, for the bus. */
export interface RedisSubscriber extends RedisClient {
  subscribe(channel: string): Promise<unknown>
  ping(): Promise<unknown>
  disconnect(): void
}

/** What ioredis has beyond {@link RedisClient}, found at run time. */
interface Extras {
  duplicate?(override: object): RedisSubscriber
  nodes?(role: 'master'): readonly Extras[]
}

/**
 * A connection to the same server as the client, or to one of the masters of its cluster: in a cluster, every node hears
 * what is published on any. It does not reconnect: its owner is to know when messages may have been lost.
 */
export function subscriberOf(client: RedisClient): RedisSubscriber | undefined {
  const extras = client as Extras
  const masters = client.isCluster ? (extras.nodes?.('master') ?? []) : [extras]
  const source = masters[Math.floor(Math.random() * masters.length)]
  return source?.duplicate?.({
    lazyConnect: true,
    retryStrategy: null,
    reconnectOnError: null,
    autoResubscribe: false,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    connectTimeout: 2_000,
    commandTimeout: undefined,
    maxRetriesPerRequest: 0,
    keyPrefix: '',
    readOnly: false,
  })
}
