-- Threads in the order they were last written, latest first: of each its name, version, when it was written and when it is due.
local skip, most = number(ARGV[2]), number(ARGV[3])
local list = {}
if most > 0 then
  for _, thread in ipairs(redis.call('ZREVRANGE', P .. 'written', skip, skip + most - 1)) do
    local found = redis.call('HMGET', P .. 'thread:' .. thread, 'version', 'updated')
    local due = redis.call('ZSCORE', P .. 'due', thread)
    for _, part in ipairs({ thread, found[1], found[2], due and text(number(due)) or '' }) do
      list[#list + 1] = part
    end
  end
end
return list
