-- Reads entities of one organisation, and for every team member among them
-- their role and groups, as one snapshot.
--
-- KEYS[1]  the head
-- ARGV[1]  the schemas that the caller understands, each between spaces
-- ARGV[2]  the work after which the reading ends, 0 for no end
-- ARGV[3…] kind, id, kind, id … each entity once
--
-- Returns the head alone if there is no organisation or it has another schema.
-- Otherwise the head, the hash of each entity in the order asked, '' for one that
-- does not exist and 0 for one that was lost, and then kind, id, hash of each
-- further role and group. If it ended before all of that, a list with the number of
-- entities that were read of those asked for follows on the head, one at least; then
-- roles and groups may be missing. A hash is one text, its fields and values with zero
-- bytes between them, which neither can have: one text is a fifth of the work for
-- both sides that a list of twenty is.

local prefix = string.sub(KEYS[1], 1, -5)

local head = redis.call('HGETALL', KEYS[1])
local schema
for i = 1, #head, 2 do
  if head[i] == 'schema' then schema = head[i + 1] end
end
local reply = {table.concat(head, '\0')}
if not string.find(ARGV[1], ' ' .. (schema or '') .. ' ', 1, true) then return reply end

local most, work = tonumber(ARGV[2] or '0'), 0
local ended
local function is_enough() return most > 0 and work >= most end

local function read(kind, id)
  local hash = redis.call('HGETALL', prefix .. kind .. ':' .. id)
  local text = text_of(hash)
  work = work + work_of(hash, text)
  return hash, text
end

local seen = {}
for i = 3, #ARGV, 2 do seen[ARGV[i] .. ':' .. ARGV[i + 1]] = true end

local further = {}
local function also(kind, id)
  local key = kind .. ':' .. id
  if seen[key] then return end
  if is_enough() then
    ended = true
    return
  end
  seen[key] = true
  further[#further + 1] = kind
  further[#further + 1] = id
  local _, text = read(kind, id)
  further[#further + 1] = text
end

local count = 0
for i = 3, #ARGV, 2 do
  if count > 0 and is_enough() then
    ended = true
    break
  end
  count = count + 1
  local kind = ARGV[i]
  local hash, text = read(kind, ARGV[i + 1])
  if #hash == 0 and redis.call('ZSCORE', prefix .. 'ids:' .. kind, ARGV[i + 1]) then
    reply[#reply + 1] = 0
  else
    reply[#reply + 1] = text
  end
  if kind == 'team_member' then
    for j = 1, #hash, 2 do
      local source, id = source_of(hash[j], hash[j + 1])
      if source then also(source, id) end
    end
  end
end

if ended then table.insert(reply, 2, {count}) end
for i = 1, #further do reply[#reply + 1] = further[i] end
return reply
