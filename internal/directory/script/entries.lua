-- Reads entries of the stream of changes of one organisation.
--
-- KEYS[1]     the head
-- ARGV[1, 2]  the ids of the first and of the last entry that are asked for
-- ARGV[3, 4]  the most entries, and the bytes of images after which the page ends
--
-- Returns them, each as id and fields.

local stream, from = string.sub(KEYS[1], 1, -5) .. 'changes', ARGV[1]
local most, bytes = tonumber(ARGV[3]), 0
local entries = {}
while #entries < most and bytes < tonumber(ARGV[4]) do
  local entry = redis.call('XRANGE', stream, from, ARGV[2], 'COUNT', '1')[1]
  if not entry then break end
  entries[#entries + 1] = entry
  for i = 1, #entry[2], 2 do bytes = bytes + #entry[2][i + 1] end
  from = string.match(entry[1], '^%d+') .. '-1' -- ids end in -0
end
return entries
