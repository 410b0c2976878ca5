import diagnosticsChannel from 'node:diagnostics_channel'
import type { Server, Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { AcceptQueue } from './accept-queue.js'
import { type Stopwatch, TimeBudget } from './time-budget.js'

/** Published by `node:net` for every connection that a server has accepted. */
const ACCEPTED = 'net.server.socket'
/** Share of the time that samples of the queue may take, and the least time between two, in milliseconds. */
const SHARE = 0.005
const LOOK_EVERY = 10
/** Samples that are kept: those of ten seconds. */
const MOST_LOOKS = 1_000

/** One sample of the accept queue. */
interface Look {
  readonly at: number
  /** Connections accepted by then. */
  readonly accepted: number
  /** Connections accepted by then, and those in the queue. */
  readonly come: number
}

/**
 * Lower bound of the time that a connection has waited to be accepted. Connections are accepted in the order in which they
 * arrive: the 40th that is accepted after a sample of 50 was in the queue at that sample, and has waited since. A
 * connection that arrived between two samples counts from the later one.
 */
export class AcceptDelay {
  readonly #queue: Pick<AcceptQueue, 'length' | 'close' | 'server'>
  readonly #clock: Stopwatch
  readonly #budget: TimeBudget
  #looks: Look[] = []
  #accepted = 0
  #of: Server | undefined
  #listening = false
  /** Made once: a sample is asked for in every turn of the event loop. */
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

  /** Reads the length of the queue, when the budget allows a read. */
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

  /** Least wait of the connection that was accepted last, in milliseconds; 0 when unknown. */
  ofLast(): number {
    this.#forget()
    const [look] = this.#looks
    return look === undefined || look.accepted >= this.#accepted ? 0 : this.#clock.now() - look.at
  }

  /** Least wait of the first connection in the queue, in milliseconds; 0 when unknown. */
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

  /** Closes the kernel's file and forgets the samples. */
  pause(): void {
    this.#queue.close()
    this.#looks = []
  }

  /** Drops samples whose connections are all accepted. */
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
