import diagnosticsChannel from 'node:diagnostics_channel'
import type { Server, Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { AcceptQueue } from './accept-queue.js'
import { type Stopwatch, TimeBudget } from './time-budget.js'

/** Published by `node:net` for every connection that a server has accepted. */
const ACCEPTED = 'net.server.socket'
/** Share of the time that looking may take, and milliseconds between two looks, at least. */
const SHARE = 0.005
const LOOK_EVERY = 10
/** Looks that are remembered: all those of ten seconds. */
const MOST_LOOKS = 1_000

/** At a look, the connections that had been accepted, and those that stood in the queue. */
interface Look {
  readonly at: number
  readonly accepted: number
  /** Connections that had come by then. */
  readonly come: number
}

/**
 * For how long a connection has waited to be accepted, at least. Connections are accepted in the order in which they came:
 * one that was the 40th to be accepted after a look at a queue of 50 stood in it already, and has waited since that look.
 * What came between two looks is taken to have come at the later one.
 */
export class AcceptDelay {
  readonly #queue: Pick<AcceptQueue, 'length' | 'close' | 'server'>
  readonly #clock: Stopwatch
  readonly #budget: TimeBudget
  #looks: Look[] = []
  #accepted = 0
  #of: Server | undefined
  #listening = false
  /** Made once: it is asked for in every turn of the event loop. */
  readonly #length = (): number | undefined => this.#queue.length()
  readonly #count = (message: unknown): void => {
    const { socket } = message as { socket: Socket & { server?: Server } }
    if (socket.server === this.#of) this.#accepted++
  }

  constructor(queue: Pick<AcceptQueue, 'length' | 'close' | 'server'>, clock: Stopwatch = performance) {
    this.#queue = queue
    this.#clock = clock
    this.#budget = new TimeBudget(SHARE, LOOK_EVERY, clock)
  }

  /** Looks at the queue, when the budget allows it. */
  sample(): void {
    if (!this.#listening) this.#listen()
    if (this.#queue.server !== this.#of) {
      this.#looks = []
      this.#of = this.#queue.server
    }
    const length = this.#budget.spend(this.#length)
    if (length === undefined) return
    this.#forget()
    if (length === 0) this.#looks = []
    const come = this.#accepted + length
    if (come <= (this.#looks.at(-1)?.come ?? this.#accepted) || this.#looks.length === MOST_LOOKS) return
    this.#looks.push({ at: this.#clock.now(), accepted: this.#accepted, come })
  }

  /** Milliseconds for which the connection that was accepted last has waited, at least; 0 when nothing is known. */
  ofLast(): number {
    this.#forget()
    const [look] = this.#looks
    return look === undefined || look.accepted >= this.#accepted ? 0 : this.#clock.now() - look.at
  }

  /** Milliseconds for which the first of those that stand there has waited, at least; 0 when nobody is known to. */
  ofNext(): number {
    this.#forget()
    const look = this.#looks.find(({ come }) => come > this.#accepted)
    return look === undefined ? 0 : this.#clock.now() - look.at
  }

  close(): void {
    if (this.#listening) diagnosticsChannel.unsubscribe(ACCEPTED, this.#count)
    this.#listening = false
    this.pause()
  }

  /** Gives the kernel's file back, and forgets. */
  pause(): void {
    this.#queue.close()
    this.#looks = []
  }

  /** What was seen of connections that are accepted by now. */
  #forget(): void {
    let over = 0
    while (over < this.#looks.length && this.#looks[over]!.come < this.#accepted) over++
    if (over > 0) this.#looks.splice(0, over)
  }

  #listen(): void {
    this.#listening = true
    diagnosticsChannel.subscribe(ACCEPTED, this.#count)
  }
}
