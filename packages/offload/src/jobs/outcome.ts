import { type Caller, callerOf, channel } from '@spillway/kit'

/** How a call ended. `failed`: by its own error; `crashed`: its thread was lost; `refused`: it did not run. */
export type Outcome = 'completed' | 'failed' | 'refused' | 'timedOut' | 'aborted' | 'crashed'

export const OUTCOMES: Readonly<Record<Outcome, number>> = Object.freeze({
  completed: 0,
  failed: 0,
  refused: 0,
  timedOut: 0,
  aborted: 0,
  crashed: 0,
})

/** Every settled call; `wait` and `run` are milliseconds. */
export const runChannel = channel<{ task: string; outcome: Outcome; wait: number; run: number }>(
  'spillway:offload:run',
)

/** Every refusal; `retryAfter` is milliseconds. */
export const refuseChannel = channel<{ task: string; code: string; retryAfter: number; queued: number }>(
  'spillway:offload:refuse',
)

const LISTENED = [runChannel, refuseChannel]

/** The async context of a caller, for a job that settles later; `undefined` when no channel has a subscriber. */
export function callerOfJob(): Caller | undefined {
  return callerOf(LISTENED)
}
