/** The reply of a server that does not keep to its protocol, or of a proxy before it. */
export class RedisReplyError extends Error {
  constructor() {
    super('Redis gave a reply of another kind than the command has')
  }
}

/**
 * Whether a reply is that of an `MGET`: a bulk string for each key. It throws nothing, since reads go through it: a
 * rejection handler behind each of them would cost one more promise.
 */
export function areBulks(reply: unknown, count: number): reply is readonly (Buffer | null)[] {
  if (!Array.isArray(reply) || reply.length !== count) return false
  for (let i = 0; i < count; i++) if (reply[i] !== null && !Buffer.isBuffer(reply[i])) return false
  return true
}

/**
 * The bulk strings of an `MGET`, one for each key.
 *
 * @throws RedisReplyError
 */
export function bulksIn(reply: unknown, count: number): readonly (Buffer | null)[] {
  if (!areBulks(reply, count)) throw new RedisReplyError()
  return reply
}

/**
 * A pair of texts.
 *
 * @throws RedisReplyError
 */
export function textsIn(reply: unknown): readonly [string, string] {
  if (Array.isArray(reply) && reply.length === 2) {
    const [first, second] = reply as readonly unknown[]
    if (typeof first === 'string' && typeof second === 'string') return [first, second]
  }
  throw new RedisReplyError()
}
