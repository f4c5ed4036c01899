-- Puts messages into the outbox as they were. ARGV: of each its thread, key, channel, address, JSON, state, and the platform's name
-- of it, with '=' before it where there is one. One that waits counts as tried.
local told = {}
for n = 2, #ARGV, 7 do
  local thread, key, channel, place, json, state, message = unpack(ARGV, n, n + 6)
  local O = P .. 'out:' .. key
  if redis.call('EXISTS', O) == 0 then
    local order = text(redis.call('INCR', P .. 'order'))
    redis.call('HSET', O, 'thread', thread, 'channel', channel, 'place', place, 'state', state, 'order', order, 'json', json)
    redis.call('RPUSH', P .. 'place:' .. place, key)
    if message ~= '' then
      message = string.sub(message, 2)
      redis.call('HSET', O, 'message', message)
      redis.call('RPUSH', P .. 'message:' .. #channel .. ':' .. channel .. ':' .. message, key)
    end
    if state == 'waiting' then
      redis.call('HSET', O, 'attempts', '1', 'since', text(now))
      redis.call('ZADD', P .. 'waiting', order, key)
      if redis.call('RPUSH', P .. 'queue:' .. place, key) == 1 then
        redis.call('ZADD', P .. 'due:' .. channel, text(now), key)
        told[channel] = true
      end
    end
  end
end
for channel in pairs(told) do tell('sends:' .. channel) end
