import { createHash } from 'node:crypto'

/** A script with the digest that the server knows it by. */
export interface RedisScript {
  readonly text: string
  readonly sha: string
}

function script(text: string): RedisScript {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

/** KEYS: entry, lease. ARGV: token, milliseconds, id seen. 1: acquired, 0: busy, 2: the entry has changed. */
export const ACQUIRE = script(`
if redis.call('GETRANGE', KEYS[1], 4, 11) ~= ARGV[3] then return 2 end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0`)

/** KEYS: lease. ARGV: token, milliseconds. */
export const RENEW = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

/** KEYS: lease. ARGV: token. */
export const RELEASE = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)

/** KEYS: entry, lease. ARGV: token, frame, milliseconds, channel, message. 0: the lease is lost, nothing is written. */
export const COMMIT = script(`
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1`)

/** KEYS: entry, lease. ARGV: frame, milliseconds, channel, message. */
export const WRITE = script(`
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1`)

/** KEYS: entry, lease. ARGV: channel, message. */
export const REMOVE = script(`
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1`)

/**
 * An epoch is the server's time in microseconds when it was made. KEYS: epoch. ARGV: lifetime in milliseconds. The epoch
 * and its age in milliseconds; -1: it was made by this call.
 */
export const EPOCH = script(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local epoch = redis.call('GET', KEYS[1])
if epoch then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  return { epoch, string.format('%.0f', math.max(0, (now - tonumber(epoch)) / 1000)) }
end
epoch = string.format('%.0f', now)
redis.call('SET', KEYS[1], epoch, 'PX', ARGV[1])
return { epoch, '-1' }`)

/** KEYS: epoch. ARGV: lifetime in milliseconds, channel, message. Later than the old one, whatever the clock does. */
export const BUMP = script(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local old = tonumber(redis.call('GET', KEYS[1]) or '0')
redis.call('SET', KEYS[1], string.format('%.0f', math.max(old + 1, now)), 'PX', ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1`)
