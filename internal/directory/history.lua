-- Reads a page of the stream of changes of one organisation.
--
-- KEYS[1]  the head
-- ARGV[1]  the schema that the caller understands
-- ARGV[2]  the number of the revision after which the page begins, 0 for the oldest
--          change that there is
-- ARGV[3]  the nonce of that revision, '' with 0 or for any
-- ARGV[4]  the most changes on the page
-- ARGV[5]  the number of bytes after which a page ends
--
-- Returns the head, alone if there is no organisation or it has another schema.
-- Otherwise the head, whether the stream follows on that revision (1 or 0), the id
-- and the nonce of the oldest change, and the changes, each as id and fields.

local prefix = string.sub(KEYS[1], 1, -5)
local stream = prefix .. 'changes'

local head = redis.call('HGETALL', KEYS[1])
local is = {}
for i = 1, #head, 2 do is[head[i]] = head[i + 1] end
local reply = {table.concat(head, '\0')}
if is.schema ~= ARGV[1] then return reply end

local function nonce_of(entry, name)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == name then return entry[2][i + 1] end
  end
  return ''
end

local function entry_of(count)
  return redis.call('XRANGE', stream, count .. '-0', count .. '-0')[1]
end

local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', '1')[1]
local after, follows = ARGV[2], 1
if after ~= '0' then
  local entry, next = entry_of(after), entry_of(string.format('%.0f', tonumber(after) + 1))
  local nonce
  if entry then
    nonce = nonce_of(entry, 'nonce')
  elseif next then
    nonce = nonce_of(next, 'prev')
  elseif after == is.rev then
    nonce = is.nonce
  end
  follows = nonce and (ARGV[3] == '' or ARGV[3] == nonce) and 1 or 0
end
reply[2] = follows
reply[3] = oldest and oldest[1] or ''
reply[4] = oldest and nonce_of(oldest, 'nonce') or ''
local entries = {}
reply[5] = entries
if follows == 0 then return reply end

local most, bytes = tonumber(ARGV[4]), 0
local from = after .. '-1'
while #entries < most and bytes < tonumber(ARGV[5]) do
  local page = redis.call('XRANGE', stream, from, '+', 'COUNT', string.format('%d', math.min(16, most - #entries)))
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    if bytes >= tonumber(ARGV[5]) then break end
    entries[#entries + 1] = entry
    bytes = bytes + #nonce_of(entry, 'images')
    from = string.match(entry[1], '^%d+') .. '-1' -- ids end in -0
  end
end
return reply
