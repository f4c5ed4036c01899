-- Keeps a lease, gives it back, or undoes its taking. ARGV: what it is on, 'thread' or 'out', the epoch, then what to do.
local on, kind, epoch, deed = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local K = P .. kind .. ':' .. on
local found = redis.call('HMGET', K, 'state', 'channel', 'version', 'woken')
local state, channel, version, woken = found[1], found[2], number(found[3]), found[4]
if not held(K, epoch) or (kind == 'out' and state ~= 'waiting') then return 'fenced' end

local D = P .. 'due'
local whom = 'turns'
if kind == 'out' then
  D = D .. ':' .. channel
  whom = 'sends:' .. channel
end

if deed == 'renew' then
  redis.call('ZADD', D, text(now + number(ARGV[6])), on)
  return 'done'
end

redis.call('HDEL', K, 'worker', 'woken')
local due = now
if deed == 'sleep' then
  local seen, wait = number(ARGV[6]), ARGV[7]
  local unseen = kind == 'thread' and (woken or version > seen)
  if not unseen and wait ~= '' then due = now + number(wait) end
  if not unseen and wait == '' and kind == 'thread' then due = nil end
  if kind == 'thread' then redis.call('HDEL', K, 'error', 'attempts') end
elseif deed == 'retry' or deed == 'stuck' then
  due = now + number(ARGV[6])
  redis.call('HSET', K, 'error', ARGV[7])
  if kind == 'thread' and deed == 'retry' then redis.call('HDEL', K, 'attempts') end
elseif deed == 'bury' then
  redis.call('HSET', K, 'error', ARGV[6])
  if woken then
    redis.call('HDEL', K, 'attempts')
  else
    redis.call('HSET', K, 'buried', '1')
    redis.call('ZADD', P .. 'buried', text(redis.call('ZSCORE', P .. 'written', on) or 0), on)
    due = nil
  end
elseif deed == 'undo' then
  -- An attempt that never began is not counted.
  local left = redis.call('HINCRBY', K, 'attempts', -1)
  if kind == 'out' and left == 0 then redis.call('HDEL', K, 'since') end
end
if due then
  redis.call('ZADD', D, text(due), on)
  tell(whom)
else
  redis.call('ZREM', D, on)
end
return 'done'
