-- Reads a page of the stream of changes of one organisation.
--
-- KEYS[1]  the head
-- ARGV[1]  the schemas that the caller understands, each between spaces
-- ARGV[2]  the number of the revision after which the page begins, 0 for the oldest
--          change that there is
-- ARGV[3]  the nonce of that revision, '' with 0 or for any
-- ARGV[4]  the most changes on the page
-- ARGV[5]  the most bytes of images on it, unless a single one has more
-- ARGV[6]  how many images of the first change to leave out
--
-- Returns the head, alone if there is no organisation or it has another schema.
-- Otherwise the head, whether the stream follows on that revision (1 or 0), the id
-- and the nonce of the oldest change, and the changes, each as id, fields, how many of
-- its images come before those that are given, and how many it has.

local prefix = string.sub(KEYS[1], 1, -5)
local stream = prefix .. 'changes'

local head = redis.call('HGETALL', KEYS[1])
local is = {}
for i = 1, #head, 2 do is[head[i]] = head[i + 1] end
local reply = {table.concat(head, '\0')}
if not string.find(ARGV[1], ' ' .. (is.schema or '') .. ' ', 1, true) then return reply end

local function nonce_of(entry, name)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == name then return entry[2][i + 1] end
  end
  return ''
end

-- What a reading of the stream gives is all of an entry, with its images, so that as few
-- are read as can be: the change after a revision names the nonce of that revision.
local function next_of(from) return redis.call('XRANGE', stream, from, '+', 'COUNT', '1')[1] end

local after, follows = ARGV[2], 1
local first_entry = next_of(after == '0' and '-' or after .. '-1')
local oldest = redis.call('XRANGE', stream, '-', after == '0' and '0' or after .. '-0', 'COUNT', '1')[1] or first_entry
if after ~= '0' then
  local nonce
  if first_entry and first_entry[1] == string.format('%.0f-0', tonumber(after) + 1) then
    nonce = nonce_of(first_entry, 'prev')
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

-- cut leaves of the images of an entry those from one on that fit into room: all of
-- them, or if it must those that do and one at least, or none. It returns how many
-- images the entry has, how many bytes are left, and whether that is all of them.
local function cut(entry, first, room, must)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'images' then
      local text, count, at = entry[2][i + 1], 0, 1
      local from = first == 0 and 1 or nil
      local to
      while true do
        local stop = string.find(text, '\2', at, true)
        local last = (stop or #text + 1) - 1
        if from and (last - from < room or must and not to) then to = last end
        count = count + 1
        if not stop then break end
        at = stop + 1
        if count == first then from = at end
      end
      if not must and to ~= #text then return count, 0, false end
      entry[2][i + 1] = from and string.sub(text, from, to) or ''
      return count, #entry[2][i + 1], to == #text
    end
  end
  return 0, 0, true
end

local most, room = tonumber(ARGV[4]), tonumber(ARGV[5])
local first, entry = tonumber(ARGV[6]), first_entry
while entry and #entries < most do
  local count, bytes, whole = cut(entry, first, room, #entries == 0)
  if not whole and bytes == 0 and #entries > 0 then break end
  entry[3], entry[4] = first, count
  entries[#entries + 1] = entry
  room, first = room - bytes, 0
  if not whole or room <= 0 then break end
  entry = #entries < most and next_of(string.match(entry[1], '^%d+') .. '-1') -- ids end in -0
end
return reply
