-- Takes a whole thread away: every refusal comes before the first change. ARGV: the thread, its home and generation, the version it
-- must have, then the names that its messages may have.
--
-- What frees memory comes before what takes some: a Redis that is full lets a script go on once it has written.
local thread, home, generation, expect = ARGV[2], ARGV[3], number(ARGV[4]), number(ARGV[5])
if healing() then return { 'healing', '' } end
local T = P .. 'thread:' .. thread
local found = redis.call('HMGET', T, 'version', 'worker', 'buried')
if not found[1] then return { 'gone', '0' } end
if number(found[1]) ~= expect then return { 'conflict', found[1] } end
if found[2] then return { 'busy', 'a worker has it' } end
if redis.call('ZSCORE', P .. 'due', thread) then return { 'busy', 'it is due, or has a deadline' } end
if found[3] then return { 'busy', 'it was set aside' } end

local ours = {}
for n = 6, #ARGV do
  local out = redis.call('HMGET', P .. 'out:' .. ARGV[n], 'thread', 'state', 'channel', 'place', 'message')
  if out[1] == thread then
    if out[2] == 'waiting' then return { 'busy', 'its message ' .. ARGV[n] .. ' waits to be sent' } end
    ours[#ours + 1] = { key = ARGV[n], channel = out[3], place = out[4], message = out[5] }
  end
end

redis.call('ZREM', P .. 'written', thread)
redis.call('UNLINK', T, P .. 'log:' .. thread)
for _, out in ipairs(ours) do
  redis.call('UNLINK', P .. 'out:' .. out.key)
  -- From its head: what goes is among the oldest.
  redis.call('LREM', P .. 'place:' .. out.place, 1, out.key)
  if out.message then
    redis.call('LREM', P .. 'message:' .. #out.channel .. ':' .. out.channel .. ':' .. out.message, 1, out.key)
  end
end
local R = P .. 'retired:' .. home
if number(redis.call('GET', R)) < generation then redis.call('SET', R, text(generation)) end
return { 'done', '' }
