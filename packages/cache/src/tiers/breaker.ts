/** Opens after this many timeouts in a row. */
const IN_A_ROW = 5
/** Or when half of at least this many calls failed within the window. */
const LEAST = 20
const WINDOW = 10_000

/**
 * Decides from outcomes whether a backend is worth asking. A single failure among many keeps it closed; while open,
 * one probe at a time asks again (the half-open state of Nygard's circuit breaker).
 */
export class Breaker {
  open = false
  #calls = 0
  #failures = 0
  #inARow = 0
  #since = 0

  succeeded(): void {
    this.#inARow = 0
    this.#calls++
  }

  /** True when this failure opened it. */
  failed(now: number): boolean {
    if (now - this.#since > WINDOW) {
      this.#since = now
      this.#calls = 0
      this.#failures = 0
    }
    this.#calls++
    this.#failures++
    this.#inARow++
    const trips = this.#inARow >= IN_A_ROW || (this.#calls >= LEAST && this.#failures * 2 >= this.#calls)
    if (this.open || !trips) return false
    this.open = true
    return true
  }

  close(): void {
    this.open = false
    this.#calls = 0
    this.#failures = 0
    this.#inARow = 0
  }
}
