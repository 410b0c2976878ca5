import type { Caller, Linked } from '@spillway/kit'
import { callerIfListened } from '../channels.js'
import { Deadline } from './deadlines.js'
import type { DriverConnection } from './driver-connection.js'

/**
 * A queued acquire: something that needs a connection of a server's pool. Until a connection is granted its deadline is
 * that of the wait; afterwards the deadline belongs to the subclass.
 */
export abstract class PendingAcquire extends Deadline implements Linked {
  /** When it was asked for, in the clock's milliseconds; 0 before that. */
  askedAt = 0
  /** When it must be over; `Infinity` for never. */
  deadlineAt = Number.POSITIVE_INFINITY
  /** The asynchronous context of the caller, where channels have listeners. */
  readonly caller: Caller | undefined = callerIfListened()
  next: this | undefined = undefined
  previous: this | undefined = undefined

  /** The server is down: goes to another one if it may and there is one; otherwise stays in the queue. */
  abstract move(): void
  abstract grant(connection: DriverConnection, now: number): void
  abstract refuse(error: unknown): void
}
