-- Takes threads that are due, longest due first. Returns when the next falls due, then of each thread its name, epoch
-- and attempt.
local worker, ttl, most = ARGV[2], number(ARGV[3]), number(ARGV[4])
local D = P .. 'due'
local taken = { '' }
if healing() then return { '50000' } end
if most > 0 then
  for _, thread in ipairs(redis.call('ZRANGEBYSCORE', D, '-inf', text(now), 'LIMIT', 0, most)) do
    local T = P .. 'thread:' .. thread
    if redis.call('EXISTS', T) == 1 then
      taken[#taken + 1] = thread
      taken[#taken + 1] = take(T, worker)
      taken[#taken + 1] = text(redis.call('HINCRBY', T, 'attempts', 1))
      redis.call('HDEL', T, 'woken')
      redis.call('ZADD', D, text(now + ttl), thread)
    else
      redis.call('ZREM', D, thread)
    end
  end
end
taken[1] = next_due(D)
return taken
