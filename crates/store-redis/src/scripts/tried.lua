-- Counts messages that wait as tried, where that was forgotten. ARGV: their keys. Returns how many of them are not there.
local missing = 0
for n = 2, #ARGV do
  local O = P .. 'out:' .. ARGV[n]
  local state = redis.call('HGET', O, 'state')
  if not state then
    missing = missing + 1
  elseif state == 'waiting' and redis.call('HSETNX', O, 'attempts', '1') == 1 then
    redis.call('HSET', O, 'since', text(now))
  end
end
return missing
