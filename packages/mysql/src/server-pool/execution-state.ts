/**
 * The life of one statement as a table. A reply, the answer to a KILL and a deadline cross on the way, so an event that a
 * state does not know is ignored.
 *
 * ```
 *  waiting, queued --grant--> running --reply--> done --move--> waiting
 *                                |
 *                              stop
 *                                v
 *   cut <--cut-- stopping --killed--> killed --reply--> absorbing --absorbed--> done
 *    |              |                    |                  ^
 *  reply       reply, stopped         stopped               |
 *    v              v                    v                  |
 *   done          ended ----------------|----killed---------+
 *                 stopped --killed--> done
 * ```
 *
 * - `waiting`: in the queue of a server's pool.
 * - `queued`: behind another statement on a connection that its user holds.
 * - `running`: sent; the reply is outstanding.
 * - `stopping`: KILL QUERY is sent; its answer and the reply are outstanding.
 * - `killed`: the KILL is answered, the reply is outstanding.
 * - `ended`: it has ended by itself; the answer to the KILL is outstanding.
 * - `stopped`: it has ended by the KILL, whose answer is outstanding.
 * - `absorbing`: a KILL that came too late may still hit the connection; a throw-away statement takes it.
 * - `cut`: its connection is destroyed; the driver has yet to report it.
 * - `done`: it has left its connection, or never got one.
 */
export type ExecutionState =
  | 'waiting'
  | 'queued'
  | 'running'
  | 'stopping'
  | 'killed'
  | 'ended'
  | 'stopped'
  | 'absorbing'
  | 'cut'
  | 'done'

/** `reply`: it ended by itself. `stopped`: it ended by the KILL. `move`: it will be asked of another server. */
export type ExecutionEvent =
  | 'grant'
  | 'reply'
  | 'stopped'
  | 'stop'
  | 'killed'
  | 'cut'
  | 'absorbed'
  | 'move'
  | 'leave'

const TABLE: Readonly<Record<ExecutionState, Readonly<Partial<Record<ExecutionEvent, ExecutionState>>>>> = {
  waiting: { grant: 'running', leave: 'done', move: 'waiting' },
  queued: { grant: 'running', leave: 'done' },
  running: { reply: 'done', stopped: 'done', stop: 'stopping' },
  stopping: { killed: 'killed', reply: 'ended', stopped: 'stopped', cut: 'cut' },
  killed: { reply: 'absorbing', stopped: 'done', cut: 'cut' },
  ended: { killed: 'absorbing', cut: 'done' },
  stopped: { killed: 'done', cut: 'done' },
  cut: { reply: 'done', stopped: 'done' },
  absorbing: { absorbed: 'done', cut: 'done' },
  done: { move: 'waiting' },
}

/** The state after an event, or `undefined` when the event means nothing in this state. */
export function nextExecutionState(state: ExecutionState, event: ExecutionEvent): ExecutionState | undefined {
  // The way of nearly every statement, without the cost of two look-ups by name.
  if (state === 'running' && event === 'reply') return 'done'
  if (state === 'waiting' && event === 'grant') return 'running'
  return TABLE[state][event]
}

/** Whether the reply is outstanding. */
export function awaitsReply(state: ExecutionState): boolean {
  return state === 'running' || state === 'stopping' || state === 'killed' || state === 'cut'
}
