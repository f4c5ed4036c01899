-- Takes, keeps or gives back the right to do something alone. ARGV: its name, who asks, 'hold' or 'let go', for how long.
local name, by, deed, ttl = ARGV[2], ARGV[3], ARGV[4], number(ARGV[5])
local R = P .. 'right:' .. name
local found = redis.call('HMGET', R, 'by', 'until')
local taken = found[1] and found[1] ~= by and number(found[2]) > now
if taken then return 'taken' end
if deed == 'hold' then
  redis.call('HSET', R, 'by', by, 'until', text(now + ttl))
elseif found[1] == by then
  redis.call('DEL', R)
end
return 'done'
