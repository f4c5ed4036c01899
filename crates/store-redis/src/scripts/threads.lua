-- Threads of a set, the last written first (ZREVRANGE) or last (ZRANGE): of each its name, version, when it was written, when it is
-- due, and why it was set aside if it was.
local skip, most, set, range = number(ARGV[2]), number(ARGV[3]), ARGV[4], ARGV[5]
local list = {}
if most > 0 then
  for _, thread in ipairs(redis.call(range, P .. set, skip, skip + most - 1)) do
    local found = redis.call('HMGET', P .. 'thread:' .. thread, 'version', 'updated', 'buried', 'error')
    local due = redis.call('ZSCORE', P .. 'due', thread)
    for _, part in ipairs({ thread, found[1], found[2], due and text(number(due)) or '', found[3] and '=' .. found[4] or '' }) do
      list[#list + 1] = part
    end
  end
end
return list
