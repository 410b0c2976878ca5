// From the module: the global of this name is a getter, which costs as much as reading the clock.
import { performance } from 'node:perf_hooks'

/** A source of time, injectable so that tests can move it. */
export interface Clock {
  /** Milliseconds, with a fraction. Never goes back for {@link monotonicClock}. */
  now(): number
}

/** Milliseconds since the process started; steps of the wall clock do not touch it. For measuring. */
export const monotonicClock: Clock = { now: () => performance.now() }

/** Milliseconds since 1970; for points in time that other machines or restarts must understand. */
export const wallClock: Clock = { now: () => Date.now() }
