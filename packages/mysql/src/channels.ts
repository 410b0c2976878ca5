import { tracingChannel } from 'node:diagnostics_channel'
import { type Caller, callerOf, channel, type Listened } from '@spillway/kit'

/** A call got a connection, or not. */
export interface AcquireMessage {
  readonly pool: string
  readonly node: string
  readonly waitedMs: number
  /** Calls that wait now. */
  readonly waiting: number
  readonly granted: boolean
}

/** A statement ended. */
export interface QueryMessage {
  readonly pool: string
  readonly node: string
  /** The statement without values. */
  readonly statement: string
  readonly runMs: number
  readonly waitedMs: number
  readonly rows: number
  /** The code of the error, when it failed. */
  readonly error: string | undefined
}

/** A statement was stopped on the server, or its connection cut. */
export interface KillMessage {
  readonly pool: string
  readonly node: string
  readonly reason: 'timeout' | 'abort' | 'close' | 'stream'
  /** `stopped` by KILL QUERY, or `cut`: the socket was destroyed. */
  readonly how: 'stopped' | 'cut'
}

/** A transaction or a read is run again. */
export interface RetryMessage {
  readonly pool: string
  readonly node: string
  readonly what: 'transaction' | 'read'
  /** 1 for the first repetition. */
  readonly attempt: number
  readonly reason: string
}

/** A server changed its state or its role. */
export interface FailoverMessage {
  readonly pool: string
  readonly node: string
  readonly from: string
  readonly to: string
}

/** A statement took longer than `slowQuery`. */
export interface SlowMessage {
  readonly pool: string
  readonly node: string
  readonly statement: string
  readonly runMs: number
  readonly rows: number
}

export const acquireChannel = channel<AcquireMessage>('spillway:mysql:acquire')
export const queryChannel = channel<QueryMessage>('spillway:mysql:query')
export const killChannel = channel<KillMessage>('spillway:mysql:kill')
export const retryChannel = channel<RetryMessage>('spillway:mysql:retry')
export const failoverChannel = channel<FailoverMessage>('spillway:mysql:failover')
export const slowChannel = channel<SlowMessage>('spillway:mysql:slow')

/** The driver's own channels. A class, since a getter on a prototype is inlined where each call asks it. */
class DriverChannels implements Listened {
  readonly #executions = tracingChannel('mysql2:execute')
  readonly #queries = tracingChannel('mysql2:query')

  get active(): boolean {
    return this.#executions.hasSubscribers || this.#queries.hasSubscribers
  }
}

/** Whether the driver is traced: then it must be called in the context of the caller. */
export const traced: Listened = new DriverChannels()

const LISTENED = [queryChannel, slowChannel, acquireChannel, killChannel, retryChannel, traced]

/** The asynchronous context of a caller, to be kept while it waits; `undefined` when no channel has a listener. */
export function callerIfListened(): Caller | undefined {
  return callerOf(LISTENED)
}
