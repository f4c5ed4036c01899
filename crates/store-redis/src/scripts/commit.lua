-- Writes one batch, whole or not at all: every refusal comes before the first change.
local id, thread, home, generation, expect = ARGV[2], ARGV[3], ARGV[4], number(ARGV[5]), ARGV[6]
local fence, fence_epoch, wake, keep = ARGV[7], ARGV[8], ARGV[9] == '1', ARGV[10]
local settle, settle_epoch, ending, named, message = ARGV[11], ARGV[12], ARGV[13], ARGV[14] == '1', ARGV[15]
local records, keys, outgoing = number(ARGV[16]), number(ARGV[17]), number(ARGV[18])
local at = 18
local stands_on = puts_back and table.remove(ARGV) or ''

local T = P .. 'thread:' .. thread
local found = redis.call('HMGET', T, 'version', 'commits', 'worker', 'buried', 'chain')
local version, commits, worker, chain = number(found[1]), found[2] or '', found[3], found[5] or ''

-- Redis has forgotten something, and who knows it puts it back first (`puts_back`, which stands before this).
if healing() and not puts_back then return { 'healing', '' } end

-- The same commit again, because its answer was lost: sixteen bytes for each of the last few, its id and its version.
for n = 1, #commits, 16 do
  if string.sub(commits, n, n + 7) == id then
    return { 'done', text(struct.unpack('>d', string.sub(commits, n + 8, n + 15))) }
  end
end

for n = at + records + 1, at + records + keys do
  if redis.call('EXISTS', P .. 'key:' .. ARGV[n]) == 1 then return { 'duplicate', ARGV[n] } end
end
if fence ~= '' and not (fence == thread and held(T, fence_epoch)) then return { 'fenced', fence } end
local S = P .. 'out:' .. settle
if settle ~= '' then
  local state = redis.call('HGET', S, 'state')
  if puts_back and state and state ~= 'waiting' then
    settle = ''
  elseif state ~= 'waiting' or not (puts_back or held(S, settle_epoch)) then
    return { 'fenced', settle }
  end
end
if not found[1] and number(redis.call('GET', P .. 'retired:' .. home)) >= generation then return { 'conflict', '0' } end
if expect ~= '' and number(expect) ~= version then return { 'conflict', text(version) } end
if puts_back and stands_on ~= '' and chain ~= stands_on then return { 'late', text(version) } end

local after = version + records
commits = string.sub(commits .. id .. struct.pack('>d', after), -64)
redis.call('HSET', T, 'version', text(after), 'commits', commits)
if records > 0 or not found[1] then
  local order = text(redis.call('INCR', P .. 'order'))
  redis.call('HSET', T, 'updated', text(now))
  redis.call('ZADD', P .. 'written', order, thread)
  redis.call('ZADD', P .. 'buried', 'XX', order, thread)
end
local H = P .. 'home:' .. home
if number(redis.call('GET', H)) < generation then redis.call('SET', H, text(generation)) end

if records > 0 then
  local log, links = {}, chain
  for n = 1, records do
    log[n] = ARGV[at + n]
    links = link(links, log[n])
  end
  chunked('RPUSH', P .. 'log:' .. thread, log)
  redis.call('HSET', T, 'chain', links)
  -- A thread that gets on is no danger to its workers, however slow they are.
  if fence ~= '' then redis.call('HDEL', T, 'attempts') end
end
for n = at + records + 1, at + records + keys do
  redis.call('SET', P .. 'key:' .. ARGV[n], thread, 'PX', keep)
end

if wake then
  if found[4] then
    redis.call('HDEL', T, 'buried', 'attempts')
    redis.call('ZREM', P .. 'buried', thread)
  end
  if worker then
    redis.call('HSET', T, 'woken', '1')
  else
    redis.call('ZADD', P .. 'due', 'LT', text(now), thread)
    tell('turns')
  end
end

-- The settled message makes way first: one that this batch adds for the same place then stands at its head.
if settle ~= '' then
  local sent = redis.call('HMGET', S, 'channel', 'place')
  local channel, Q = sent[1], P .. 'queue:' .. sent[2]
  redis.call('HSET', S, 'state', ending)
  redis.call('HDEL', S, 'worker', 'error')
  redis.call('ZREM', P .. 'waiting', settle)
  redis.call('ZREM', P .. 'due:' .. channel, settle)
  redis.call('LREM', Q, 1, settle)
  if named then
    redis.call('HSET', S, 'message', message)
    redis.call('RPUSH', P .. 'message:' .. #channel .. ':' .. channel .. ':' .. message, settle)
  end
  local next = redis.call('LINDEX', Q, 0)
  if next then
    redis.call('ZADD', P .. 'due:' .. channel, text(now), next)
    tell('sends:' .. channel)
  end
end

local told = {}
for n = at + records + keys + 1, at + records + keys + outgoing * 4, 4 do
  local key, channel, place, json = ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3]
  local O = P .. 'out:' .. key
  if redis.call('EXISTS', O) == 0 then
    local order = text(redis.call('INCR', P .. 'order'))
    redis.call('HSET', O, 'thread', thread, 'channel', channel, 'place', place, 'state', 'waiting', 'order', order, 'json', json)
    redis.call('ZADD', P .. 'waiting', order, key)
    redis.call('RPUSH', P .. 'place:' .. place, key)
    if redis.call('RPUSH', P .. 'queue:' .. place, key) == 1 then
      redis.call('ZADD', P .. 'due:' .. channel, text(now), key)
      if not told[channel] then
        told[channel] = true
        tell('sends:' .. channel)
      end
    end
  end
end
return { 'done', text(after), chain }
