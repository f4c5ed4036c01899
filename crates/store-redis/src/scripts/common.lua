-- What every script begins with. KEYS[1] is the key of the format, `{prefix}:format`; all other keys have its prefix, and so
-- its slot. ARGV[1] is the time in microseconds, or empty: then it is the server's. Layout of the keys: keys.md.

local P = string.sub(KEYS[1], 1, -7)

local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end

local function number(text)
  return tonumber(text or 0)
end

-- A whole number as text: Lua's own would be 1.7e+15.
local function text(n)
  return string.format('%.0f', n)
end

local function tell(whom)
  redis.call('PUBLISH', P .. 'wake', whom)
end

-- A lease is held when its epoch is the last and it was not released.
local function held(key, epoch)
  local lease = redis.call('HMGET', key, 'epoch', 'worker')
  return lease[1] == epoch and lease[2]
end

-- Takes something: epochs rise with each taking, and with the clock too, so that one that was forgotten with the last writes
-- before a crash of the server is not given out a second time.
local function take(key, worker)
  local epoch = text(math.max(number(redis.call('HGET', key, 'epoch')) + 1, now))
  redis.call('HSET', key, 'epoch', epoch, 'worker', worker)
  return epoch
end

-- What a log is up to an event, in a few letters: of what it was before, and of the event.
local function link(chain, entry)
  return redis.sha1hex(chain .. entry)
end

-- Whether something that Redis forgot is being put back: nothing is taken and nothing written meanwhile.
local function healing()
  return redis.call('EXISTS', P .. 'healing') == 1
end

-- How long until the first of a set falls due, or nothing.
local function next_due(set)
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  return first[2] and text(math.max(0, number(first[2]) - now)) or ''
end

-- Lua hands over some thousands of arguments at most.
local function chunked(command, key, list)
  for from = 1, #list, 4000 do
    redis.call(command, key, unpack(list, from, math.min(from + 3999, #list)))
  end
end
