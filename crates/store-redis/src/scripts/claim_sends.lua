-- Takes messages of a channel that are due, longest due first, and counts the attempt. Returns when the next falls due, then of
-- each message its key, epoch, thread, attempt, the time of the first attempt, and itself.
local worker, ttl, most, channel = ARGV[2], number(ARGV[3]), number(ARGV[4]), ARGV[5]
local D = P .. 'due:' .. channel
local taken = { '' }
if healing() then return { '50000' } end
if most > 0 then
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', D, '-inf', text(now), 'LIMIT', 0, most)) do
    local O = P .. 'out:' .. key
    if redis.call('HGET', O, 'state') == 'waiting' then
      local epoch = take(O, worker)
      local attempt = redis.call('HINCRBY', O, 'attempts', 1)
      redis.call('HSETNX', O, 'since', text(now))
      redis.call('ZADD', D, text(now + ttl), key)
      local out = redis.call('HMGET', O, 'thread', 'since', 'json')
      for _, part in ipairs({ key, epoch, out[1], text(attempt), out[2], out[3] }) do
        taken[#taken + 1] = part
      end
    else
      redis.call('ZREM', D, key)
    end
  end
end
taken[1] = next_due(D)
return taken
