/** Milliseconds between two questions. */
const EVERY = 60_000
/** An answer that took longer says too little. */
const MAX_DELAY = 1_000

/**
 * The time of a server, so that nodes whose clocks differ agree on how old an entry is. It is asked for now and then, and
 * carried on by the steady clock of this process in between.
 */
export class ServerClock {
  readonly #ask: () => Promise<number>
  readonly #precision: number
  /** The server's time when the steady clock stood at 0; `undefined`: not known, or the same as here. */
  #origin: number | undefined
  #asked = Number.NEGATIVE_INFINITY

  /**
   * @param ask the server's time in milliseconds since 1970
   * @param precision of the answer: a difference of less than so many milliseconds is none
   */
  constructor(ask: () => Promise<number>, precision = 0) {
    this.#ask = ask
    this.#precision = precision
  }

  /** Milliseconds since 1970. */
  now(): number {
    const steady = performance.now()
    if (steady - this.#asked > EVERY) this.measure()
    return this.#origin === undefined ? Date.now() : this.#origin + steady
  }

  /** Asks anew: the connection may be to another server now. */
  measure(): void {
    const sent = (this.#asked = performance.now())
    this.#ask().then(
      (time) => {
        const received = performance.now()
        if (received - sent > MAX_DELAY || !Number.isFinite(time)) return
        const same = Math.abs(time - Date.now()) < this.#precision
        this.#origin = same ? undefined : time - (sent + received) / 2
      },
      () => {}, // asked again later; what was known still stands
    )
  }
}
