import { redisScript } from '@spillway/kit'
import { MOST_USED } from '../../bucket/bucket.js'
import { LEASE_PART } from '../remote/protocol.js'

/**
 * The decisions, in the Redis server; the twin of `answerFrom` in `protocol.ts`, line by line on the same doubles.
 *
 * KEYS: the receipt, if there is one, then the buckets. ARGV: the time (microseconds of the server) after which nobody
 * waits for an answer any more, or 0; the number of the call if there is a receipt, or 0; then the numbers of `protocol.ts`. A bucket is two packed
 * doubles, `used` and `at`, and lives until it is full again. All are read at once and each is written once at most, however
 * often it is asked about. One bucket alone, the usual thing for a lone caller, has the same steps without tables, which
 * would be a third of its time. The answer is packed doubles: the time, `1` if that was too late and nothing was done, then
 * the numbers of `protocol.ts`.
 *
 * A receipt holds the number of the call and its answer until the time is up: a client that sends the same call again,
 * because the connection broke before the answer came, gets the same answer and is not charged twice.
 */
export const SCRIPT = redisScript(`
local call, pack, max, min, floor, ceil = redis.call, struct.pack, math.max, math.min, math.floor, math.ceil
local unpack = table.unpack or unpack
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local latest = tonumber(ARGV[1])
local values = call('MGET', unpack(KEYS))
local id = tonumber(ARGV[2])
local key = id > 0 and 1 or 0
local known = id > 0 and values[1]
if known and #known >= 24 and struct.unpack('>d', known) == id then return string.sub(known, 9) end
if latest > 0 and now > latest then return pack('>dd', now, 1) end

-- Whatever else stands in the place of a bucket is taken for a full one.
local function read(value)
  if value and #value == 16 then
    local used, noted = struct.unpack('>dd', value)
    if used >= 0 and used <= ${MOST_USED} and noted >= 0 and noted <= 1e17 then return used, noted end
  end
  return 0, now
end
local function write(name, level, at, tokens, micros)
  if level == 0 then
    call('DEL', name)
  elseif tokens == 0 then
    call('SET', name, pack('>dd', level, at))
  else
    local life = min(ceil((level * micros) / tokens / 1000), 1e14)
    call('SET', name, pack('>dd', level, at), 'PX', string.format('%.0f', life))
  end
end
local function done(answer)
  if id > 0 then
    local life = latest > 0 and ceil((latest - now) / 1000) + 1 or 60000
    call('SET', KEYS[1], pack('>d', id) .. answer, 'PX', string.format('%.0f', life))
  end
  return answer
end

-- One bucket that no other one has a say about.
local function decide(kind, cost, count, capacity, level)
  if kind == 3 then return 0, 1 end
  if kind == 2 then return min(max(0, level + cost), ${MOST_USED}), 1 end
  local admitted = 0
  if kind ~= 1 then
    local most = kind == 4 and 1 or count
    while admitted < most and level + cost <= capacity do
      level, admitted = level + cost, admitted + 1
    end
    if kind == 4 and admitted == 1 then
      local extra = max(0, min(count, floor((capacity - level) / ${LEASE_PART})))
      level, admitted = level + extra, 1 + extra
    end
  end
  return level, admitted
end

if #KEYS == key + 1 then
  local tokens, micros = tonumber(ARGV[9]), tonumber(ARGV[10])
  local used, noted = read(values[key + 1])
  local elapsed = max(0, now - noted)
  local level = max(0, used - (elapsed * tokens) / micros)
  local admitted
  level, admitted = decide(tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[8]), level)
  if admitted > 0 then write(KEYS[key + 1], level, noted + elapsed, tokens, micros) end
  return done(pack('>ddddd', now, 0, admitted, used, elapsed))
end

local used, noted, first = {}, {}, {}
local touched, pace, period = {}, {}, {}
-- The place of the bucket of the next key, read when it is first asked about.
local function bucket()
  key = key + 1
  local name = KEYS[key]
  local p = first[name]
  if p then return p end
  first[name] = key
  used[key], noted[key] = read(values[key])
  return key
end
local function charge(p, level, at, tokens, micros)
  if not pace[p] then touched[#touched + 1] = p end
  pace[p], period[p] = tokens, micros
  used[p], noted[p] = level, level == 0 and now or at
end
local out = { pack('>dd', now, 0) }
local arg = 3
while arg < #ARGV do
  local kind, cost, count = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local groups, n = tonumber(ARGV[arg + 3]), tonumber(ARGV[arg + 4])
  arg = arg + 5
  if n == 1 then
    local capacity, tokens, micros = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
    arg = arg + 4
    for _ = 1, groups do
      local p = bucket()
      local before, at = used[p], noted[p]
      local elapsed = max(0, now - at)
      local level, admitted = decide(kind, cost, count, capacity, max(0, before - (elapsed * tokens) / micros))
      if admitted > 0 then charge(p, level, at + elapsed, tokens, micros) end
      out[#out + 1] = pack('>ddd', admitted, before, elapsed)
    end
  else
    local capacity, tokens, micros, shadow = {}, {}, {}, {}
    for i = 1, n do
      capacity[i], tokens[i], micros[i] = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
      shadow[i] = ARGV[arg + 3] == '1'
      arg = arg + 4
    end
    local layout = '>d' .. string.rep('dd', n)
    local place, level, charged, state = {}, {}, {}, {}
    for _ = 1, groups do
      for i = 1, n do
        local p = bucket()
        local elapsed = max(0, now - noted[p])
        place[i], charged[i] = p, false
        level[i] = max(0, used[p] - (elapsed * tokens[i]) / micros[i])
        state[2 * i - 1], state[2 * i] = used[p], elapsed
      end
      local admitted = 0
      if kind == 3 then
        for i = 1, n do level[i], charged[i] = 0, true end
        admitted = 1
      elseif kind == 2 then
        for i = 1, n do level[i], charged[i] = min(max(0, level[i] + cost), ${MOST_USED}), true end
        admitted = 1
      elseif kind ~= 1 then
        local most = kind == 4 and 1 or count
        while admitted < most do
          local fits = true
          for i = 1, n do fits = fits and (shadow[i] or level[i] + cost <= capacity[i]) end
          if not fits then break end
          for i = 1, n do
            if level[i] + cost <= capacity[i] then level[i], charged[i] = level[i] + cost, true end
          end
          admitted = admitted + 1
        end
        if kind == 4 and admitted == 1 then
          local extra = count
          for i = 1, n do extra = min(extra, floor((capacity[i] - level[i]) / ${LEASE_PART})) end
          extra = max(0, extra)
          for i = 1, n do level[i] = level[i] + extra end
          admitted = 1 + extra
        end
      end
      for i = 1, n do
        local p = place[i]
        if charged[i] then charge(p, level[i], noted[p] + state[2 * i], tokens[i], micros[i]) end
      end
      out[#out + 1] = pack(layout, admitted, unpack(state, 1, 2 * n))
    end
  end
end

for i = 1, #touched do
  local p = touched[i]
  write(KEYS[p], used[p], noted[p], pace[p], period[p])
end
return done(table.concat(out))
`)
