/**
 * The life of one worker, as a table. Everything the supervisor does with a worker goes through
 * {@link nextState}; an event that a state does not know is ignored, because messages and exits cross on the way.
 *
 * ```
 *             ready            drain             exit
 *  starting ---------> ready ---------> draining -----> stopped
 *     |                 |  ^               ^
 *     |            late |  | beat          | drain
 *     |                 v  |               |
 *     |               suspect -------------+
 *     | exit            | exit
 *     +-----> failed <--+---- ready (exit)
 * ```
 *
 * - `starting`: forked; the start-up deadline runs.
 * - `ready`: listens (or said `ready()`); gets connections.
 * - `suspect`: its heartbeat is late. It may come back; at the deadline it is killed.
 * - `draining`: finishes what it has and leaves; the drain deadline runs.
 * - `stopped`: left after it was asked to, or of its own accord after draining.
 * - `failed`: ended without having been asked.
 */
export type WorkerState = 'starting' | 'ready' | 'suspect' | 'draining' | 'stopped' | 'failed'

/** What happens to a worker. */
export type WorkerEvent = 'ready' | 'late' | 'beat' | 'drain' | 'exit'

const TABLE: Readonly<Record<WorkerState, Readonly<Partial<Record<WorkerEvent, WorkerState>>>>> = {
  starting: { ready: 'ready', drain: 'draining', exit: 'failed' },
  ready: { late: 'suspect', drain: 'draining', exit: 'failed' },
  suspect: { beat: 'ready', drain: 'draining', exit: 'failed' },
  draining: { exit: 'stopped' },
  stopped: {},
  failed: {},
}

/** The state after an event, or `undefined` when the event means nothing in this state. */
export function nextState(state: WorkerState, event: WorkerEvent): WorkerState | undefined {
  return TABLE[state][event]
}

/** Whether the process is gone. */
export function isOver(state: WorkerState): boolean {
  return state === 'stopped' || state === 'failed'
}
