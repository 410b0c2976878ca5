import { redisScript as script } from '@spillway/kit'

/**
 * An entry and its lease are one string, so that each script has one key (a cluster that moves a slot refuses scripts
 * with two): first the lease, if there is one, as `\x1e`, 16 digits of the server's time in milliseconds when it ends,
 * and 22 characters of token; then the frame, if there is one.
 */
export const LEASE_MARK = 0x1e
export const TOKEN_LENGTH = 22
export const LEASE_LENGTH = 1 + 16 + TOKEN_LENGTH

const OPEN = `
local value = redis.call('GET', KEYS[1]) or ''
local leased = string.byte(value, 1) == ${LEASE_MARK}
local token = leased and string.sub(value, 18, ${LEASE_LENGTH}) or ''
local frame = leased and string.sub(value, ${LEASE_LENGTH + 1}) or value
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

/** KEYS: entry. ARGV: token, milliseconds, id seen. 1: acquired, 0: busy, 2: the entry has changed. */
export const ACQUIRE = script(`${OPEN}
if string.sub(frame, 5, 12) ~= ARGV[3] then return 2 end
if leased and tonumber(string.sub(value, 2, 17)) > now then return 0 end
local lease = '\\30' .. string.format('%016.0f', now + ARGV[2]) .. ARGV[1]
if frame == '' then redis.call('SET', KEYS[1], lease, 'PX', ARGV[2])
else redis.call('SET', KEYS[1], lease .. frame, 'KEEPTTL') end
return 1`)

/** KEYS: entry. ARGV: token, milliseconds. 0: the lease is lost. */
export const RENEW = script(`${OPEN}
if token ~= ARGV[1] then return 0 end
redis.call('SETRANGE', KEYS[1], 1, string.format('%016.0f', now + ARGV[2]))
if frame == '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1`)

/** KEYS: entry. ARGV: token. */
export const RELEASE = script(`${OPEN}
if token ~= ARGV[1] then return 0 end
if frame == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], frame, 'KEEPTTL') end
return 1`)

/** KEYS: entry. ARGV: token, frame, milliseconds, channel, message. 0: the lease is lost, nothing is written. */
export const COMMIT = script(`
if redis.call('GETRANGE', KEYS[1], 0, 0) ~= '\\30' then return 0 end
if redis.call('GETRANGE', KEYS[1], 17, ${LEASE_LENGTH - 1}) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1`)

/** KEYS: entry. ARGV: frame, milliseconds, channel, message. */
export const WRITE = script(`
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1`)

/** KEYS: entry. ARGV: channel, message. */
export const REMOVE = script(`
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1`)

/**
 * An epoch is the server's time in microseconds when it was made. KEYS: epoch. ARGV: lifetime in milliseconds. The epoch
 * and its age in microseconds, not rounded: an epoch that seems older than it is lets a stale value through. -1: it was
 * made by this call.
 */
export const EPOCH = script(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local epoch = redis.call('GET', KEYS[1])
if epoch then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  return { epoch, string.format('%.0f', math.max(0, now - tonumber(epoch))) }
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
