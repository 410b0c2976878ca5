import { createHash } from 'node:crypto'
import { LEASE_PART } from './wire.js'

/**
 * The decision, in the Redis server; the twin of `answerFrom` in `wire.ts`, line by line on the same doubles.
 *
 * KEYS: the receipt, if there is one, then the buckets. ARGV: the time (microseconds of the server) after which nobody
 * waits for an answer any more, or 0; `1` if there is a receipt; then the numbers of `wire.ts`. A bucket is two packed
 * doubles, `used` and `at`, and lives until it is full again. A receipt holds the answer until the time is up: a client
 * that sends the same call again, because the connection broke before the answer came, gets the same answer and is
 * not charged twice.
 *
 * Numbers go out as `%.17g`, since Lua's own `tostring` keeps 14 digits only.
 */
export const SCRIPT = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local latest = tonumber(ARGV[1])
local key, receipt = 0, nil
if ARGV[2] == '1' then
  receipt = KEYS[1]
  key = 1
  local answer = redis.call('GET', receipt)
  if answer then return answer end
end
if latest > 0 and now > latest then return string.format('%.0f late', now) end

local out = { string.format('%.0f', now) }
local arg = 3
while arg < #ARGV do
  local kind, cost, count = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local groups, n = tonumber(ARGV[arg + 3]), tonumber(ARGV[arg + 4])
  arg = arg + 5
  local capacity, tokens, micros = {}, {}, {}
  for i = 1, n do
    capacity[i], tokens[i], micros[i] = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
    arg = arg + 3
  end
  for _ = 1, groups do
    local admitted, level, at, state = 0, {}, {}, {}
    for i = 1, n do
      local raw = redis.pcall('GET', KEYS[key + i])
      local used, noted = 0, now
      if type(raw) == 'string' and #raw == 16 then used, noted = struct.unpack('>dd', raw) end
      local elapsed = math.max(0, now - noted)
      at[i] = noted + elapsed
      level[i] = math.max(0, used - (elapsed * tokens[i]) / micros[i])
      state[i] = string.format('%.17g %.0f', used, elapsed)
    end
    if kind == 3 then
      for i = 1, n do redis.call('DEL', KEYS[key + i]) end
      admitted = 1
    elseif kind == 2 then
      for i = 1, n do level[i] = math.max(0, level[i] + cost) end
      admitted = 1
    elseif kind ~= 1 then
      local most = kind == 4 and 1 or count
      while admitted < most do
        local fits = true
        for i = 1, n do fits = fits and level[i] + cost <= capacity[i] end
        if not fits then break end
        for i = 1, n do level[i] = level[i] + cost end
        admitted = admitted + 1
      end
      if kind == 4 and admitted == 1 then
        local extra = math.max(0, math.min(count, math.floor((capacity[1] - level[1]) / ${LEASE_PART})))
        level[1] = level[1] + extra
        admitted = 1 + extra
      end
    end
    if admitted > 0 and kind ~= 3 then
      for i = 1, n do
        if level[i] == 0 then
          redis.call('DEL', KEYS[key + i])
        elseif tokens[i] == 0 then
          redis.call('SET', KEYS[key + i], struct.pack('>dd', level[i], at[i]))
        else
          local life = math.min(math.ceil((level[i] * micros[i]) / tokens[i] / 1000), 1e14)
          redis.call('SET', KEYS[key + i], struct.pack('>dd', level[i], at[i]), 'PX', string.format('%.0f', life))
        end
      end
    end
    out[#out + 1] = admitted .. ' ' .. table.concat(state, ' ')
    key = key + n
  end
end

local answer = table.concat(out, ' ')
if receipt then
  local life = latest > 0 and math.ceil((latest - now) / 1000) + 1 or 60000
  redis.call('SET', receipt, answer, 'PX', string.format('%.0f', life))
end
return answer
`

export const SCRIPT_SHA = createHash('sha1').update(SCRIPT).digest('hex')
