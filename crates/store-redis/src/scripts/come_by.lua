-- Notes that the gateway of a journal is here. ARGV: the journal's name; for how long one counts that is not heard of; and, where it has
-- put back what this run of the server lacked, the run: when all have, everybody works again.
local name, silent, run = ARGV[2], number(ARGV[3]), ARGV[4]
redis.call('HSET', P .. 'journals', name, text(now))
if run == '' then return end
local H = P .. 'healed:' .. run
redis.call('SADD', H, name)
redis.call('PEXPIRE', H, '60000')
local seen = redis.call('HGETALL', P .. 'journals')
for n = 1, #seen, 2 do
  if now - number(seen[n + 1]) > silent then
    redis.call('HDEL', P .. 'journals', seen[n])
  elseif redis.call('SISMEMBER', H, seen[n]) == 0 then
    return
  end
end
redis.call('DEL', P .. 'healing')
