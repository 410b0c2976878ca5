/**
 * What a client's connection is in the middle of, as a table. Everything that is decided about a connection (may it move
 * to another process, may it be closed) goes through {@link nextState}.
 *
 * **The invariant of a hand-over.** A connection leaves this process between two complete exchanges only:
 *
 * 1. every request that has begun has been read to its end, its body and trailers included: Node's own parser says so;
 * 2. every response has been sent to its end, and the kernel has all of its bytes;
 * 3. every byte that this process has taken from the kernel has gone through that parser, and none is of the next message;
 * 4. no other code has read, written or kept a byte: not TLS, not HTTP/2, not a protocol after `Upgrade` or CONNECT, not a
 *    listener of the app for the socket's data.
 *
 * Otherwise the next process would take the rest of one message for the beginning of another (request smuggling, RFC 9112
 * section 11.2). A connection that does not meet all four stays where it is.
 *
 * ```
 *               http            partial              answered
 *   foreign ----------> fresh ----------> receiving ----------> between
 *      |                  |  request        | request  ^ partial   |  ^
 *      | session          +---------------> v          |   request |  | answered
 *      v                                 answering <---------------+  |
 *    http2                                  |  +----------------------+
 *                                           | upgrade
 *                                           v
 *                                 websocket | tunnel
 * ```
 *
 * - `handshake`: TLS has not been agreed on. It ends in a connection of its own.
 * - `foreign`: accepted, and nothing that we know speaks on it (yet): plain TCP protocols stay here.
 * - `fresh`: Node's HTTP/1 parser reads it, and not a byte has come.
 * - `receiving`: a part of a request has come and no response is due: half a head, or the first part of a body
 *   whose request was answered early.
 * - `answering`: a response is due or being sent.
 * - `between`: between two complete exchanges.
 * - `http2`, `websocket`, `tunnel` (CONNECT and other upgrades): the bytes belong to a protocol that cannot move.
 * - `moved`: another process has it.
 * - `closing`: we have closed it, so no request that still comes may be processed (RFC 9112 section 9.6).
 */
export type ConnectionState =
  | 'handshake'
  | 'foreign'
  | 'fresh'
  | 'receiving'
  | 'answering'
  | 'between'
  | 'http2'
  | 'websocket'
  | 'tunnel'
  | 'moved'
  | 'closing'

/** What happens to a connection. */
export type ConnectionEvent =
  /** Node's HTTP/1 parser has been attached. */
  | 'http'
  /** An HTTP/2 session has been attached. */
  | 'session'
  /** The parser has begun with a message, and no response is due. */
  | 'partial'
  /** The head of a request has been read. */
  | 'request'
  /** All requests are read, all responses are sent. */
  | 'answered'
  | 'websocket'
  | 'tunnel'
  | 'move'
  | 'close'

type Row = Readonly<Partial<Record<ConnectionEvent, ConnectionState>>>

const UPGRADES = { websocket: 'websocket', tunnel: 'tunnel' } as const

const TABLE: Readonly<Record<ConnectionState, Row>> = {
  handshake: { close: 'closing' },
  foreign: { http: 'fresh', session: 'http2', ...UPGRADES },
  fresh: { partial: 'receiving', request: 'answering', move: 'moved', close: 'closing', ...UPGRADES },
  receiving: { request: 'answering', answered: 'between', ...UPGRADES },
  answering: { request: 'answering', partial: 'receiving', answered: 'between', ...UPGRADES },
  between: { partial: 'receiving', request: 'answering', move: 'moved', close: 'closing', ...UPGRADES },
  http2: {},
  websocket: {},
  tunnel: {},
  moved: {},
  closing: {},
}

/** The state after an event, or `undefined` when the event is impossible or not allowed in this state. */
export function nextState(state: ConnectionState, event: ConnectionEvent): ConnectionState | undefined {
  return TABLE[state][event]
}
