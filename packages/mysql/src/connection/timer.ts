import { Deadline, type Deadlines } from './deadlines.js'

class Timer extends Deadline {
  readonly #action: () => void

  constructor(action: () => void) {
    super()
    this.#action = action
  }

  expire(): void {
    this.#action()
  }
}

/** Calls back at a time of the deadlines' clock, unless it is removed before. */
export function after(deadlines: Deadlines, at: number, action: () => void): Deadline {
  const timer = new Timer(action)
  deadlines.add(timer, at)
  return timer
}
