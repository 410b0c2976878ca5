import type { Caller, Linked } from '@spillway/kit'
import { callerOfCall } from '../channels.js'
import { Deadline } from './deadlines.js'
import type { Link } from './driver-connection.js'

/**
 * Somebody who needs a connection of a node. Its deadline, while it waits, is when it gives up; it stays set when a
 * connection is granted, and is then the waiter's own.
 */
export abstract class Waiter extends Deadline implements Linked {
  askedAt = 0
  /** When it must be over; `Infinity` for never. */
  deadlineAt = Number.POSITIVE_INFINITY
  /** In whose context it is told of. */
  readonly caller: Caller | undefined = callerOfCall()
  /** @internal */ next: this | undefined = undefined
  /** @internal */ previous: this | undefined = undefined

  /** Its server is down: it goes to another one, if it may and there is one. Otherwise it stays as it is. */
  abstract move(): void
  abstract grant(link: Link, now: number): void
  abstract refuse(error: unknown): void
}
