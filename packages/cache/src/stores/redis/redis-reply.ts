/** The reply of a server that does not keep to its protocol, or of a proxy before it. */
export class RedisReplyError extends Error {
  constructor() {
    super('Redis gave a reply of another kind than the command has')
  }
}

/**
 * The bulk strings of an `MGET`, one for each key.
 *
 * @throws RedisReplyError
 */
export function bulksIn(reply: unknown, count: number): readonly (Buffer | null)[] {
  if (!Array.isArray(reply) || reply.length !== count) throw new RedisReplyError()
  for (let i = 0; i < count; i++) bulkIn(reply[i])
  return reply
}

/**
 * The bulk string of a `GET`.
 *
 * @throws RedisReplyError
 */
export function bulkIn(reply: unknown): Buffer | null {
  if (reply === null || Buffer.isBuffer(reply)) return reply
  throw new RedisReplyError()
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
