/** A slot whose worker crashed or could not be forked, and that waits for its back-off. */
export interface PendingRestart {
  readonly slot: number
  readonly streak: number
  /** When it may be filled. Milliseconds of the supervisor's clock. */
  readonly at: number
  /** How often in a row it could not even be forked, and since when. */
  readonly failedForks?: { readonly times: number; readonly since: number } | undefined
}

/** Priority queue of the slots to fill again, by the time at which each may be filled. */
export class RestartQueue {
  #open: PendingRestart[] = []

  add(pending: PendingRestart): void {
    this.#open.push(pending)
    this.#open.sort((a, b) => a.at - b.at)
  }

  /** Slots that wait here: no other worker gets their number. */
  get slots(): readonly number[] {
    return this.#open.map(({ slot }) => slot)
  }

  of(slot: number): PendingRestart | undefined {
    return this.#open.find((each) => each.slot === slot)
  }

  /** How many of the `missing` places have to wait. */
  held(now: number, missing: number): number {
    // Scaled down meanwhile: the places that would have waited longest are gone.
    this.#open.length = Math.min(this.#open.length, Math.max(0, missing))
    return this.#open.filter(({ at }) => at > now).length
  }

  /** Removes and returns the first slot whose back-off is over. */
  take(now: number): PendingRestart | undefined {
    return this.#open[0] !== undefined && this.#open[0].at <= now ? this.#open.shift() : undefined
  }

  /** When the next place may be filled. */
  next(now: number): number | undefined {
    return this.#open.find(({ at }) => at > now)?.at
  }

  clear(): void {
    this.#open = []
  }
}

/** The lowest free slot number. (A replacement gets the slot of the worker that it replaces.) */
export function lowestFree(taken: readonly number[]): number {
  let slot = 1
  while (taken.includes(slot)) slot++
  return slot
}
