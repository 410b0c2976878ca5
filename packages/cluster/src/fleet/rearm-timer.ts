/** One timer that can be set again. It keeps the process at work: with every worker down, nothing else does. */
export class RearmTimer {
  readonly #ring: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(ring: () => void) {
    this.#ring = ring
  }

  /** Rings after so many milliseconds instead of what was set before; `undefined`: not at all. */
  set(milliseconds: number | undefined): void {
    clearTimeout(this.#timer)
    if (milliseconds === undefined) return
    this.#timer = setTimeout(this.#ring, Math.max(1, Math.ceil(milliseconds)))
  }
}
