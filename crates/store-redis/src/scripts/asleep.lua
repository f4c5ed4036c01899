-- Puts a thread to sleep at the end of its log, whatever was known of it. ARGV: the thread, its home and generation, when its last
-- event was written.
local thread, home, generation, updated = ARGV[2], ARGV[3], number(ARGV[4]), ARGV[5]
local T, H = P .. 'thread:' .. thread, P .. 'home:' .. home
-- Epochs go on, so that no lease of before comes to hold again.
local epoch = redis.call('HGET', T, 'epoch') or '0'
redis.call('DEL', T)
local L, version, chain = P .. 'log:' .. thread, 0, ''
repeat
  local part = redis.call('LRANGE', L, version, version + 99)
  for _, entry in ipairs(part) do chain = link(chain, entry) end
  version = version + #part
until #part == 0
redis.call('HSET', T, 'epoch', epoch, 'version', text(version), 'updated', updated, 'chain', chain)
redis.call('ZADD', P .. 'written', text(redis.call('INCR', P .. 'order')), thread)
if number(redis.call('GET', H)) < generation then redis.call('SET', H, text(generation)) end
