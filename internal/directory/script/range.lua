-- Reads the ids of one organisation that are in any of several indexes, or how many
-- each index has, as one snapshot.
--
-- KEYS[1]  the head
-- ARGV[1]  the schemas that the caller understands, each between spaces
-- ARGV[2]  the revision that the organisation must have, '' for any
-- ARGV[3]  the number of expectations, then for each kind, id, and the revision of
--          its last change, '' if it must not exist
-- ARGV[…]  what to read, with further arguments:
--
--   sizes  the names of indexes
--          Returns the head, then the size of each.
--   page   kind, the id after which the page begins ('' for the first page), the
--          most ids on it, 1 if their facts are asked for and else 0, the work after
--          which the reading of facts ends, 0 for no end, the number of ids after
--          which the page ends that were read again in a further index, the number of
--          indexes, their names, and then further ids in order, which count where there
--          is such an entity
--          Returns the head, 1 if there are more ids after the page and else 0, the
--          number of ids, and the ids in order. With facts the hash of each id
--          follows, '' for one that was lost, and then kind, id, hash of each role
--          and group of the team members; 2 more in place of the first number say that
--          not all of those were read, which is so only with one id.
--
-- Returns the head alone if there is no organisation or it has another schema, and
-- the head and 'moved' if the revision or an expectation does not hold. A hash is one
-- text, its fields and values with zero bytes between them, which neither can have.

local prefix = string.sub(KEYS[1], 1, -5)

local head = redis.call('HGETALL', KEYS[1])
local fields = {}
for i = 1, #head, 2 do fields[head[i]] = head[i + 1] end
local reply = {table.concat(head, '\0')}
if not string.find(ARGV[1], ' ' .. (fields.schema or '') .. ' ', 1, true) then return reply end

local position = 1
local function take()
  position = position + 1
  return ARGV[position]
end

local function moved() return {reply[1], 'moved'} end

local at_revision = take()
if at_revision ~= '' and at_revision ~= (fields.rev or '') .. '.' .. (fields.nonce or '') then return moved() end
for _ = 1, tonumber(take()) do
  local kind, id, since = take(), take(), take()
  local key = prefix .. kind .. ':' .. id
  if since == '' then
    if redis.call('EXISTS', key) == 1 then return moved() end
  elseif redis.call('HGET', key, 'rev') ~= since then
    return moved()
  end
end

if take() == 'sizes' then
  for i = position + 1, #ARGV do reply[#reply + 1] = redis.call('ZCARD', prefix .. ARGV[i]) end
  return reply
end

local kind, after, limit, with_facts = take(), take(), tonumber(take()), take() == '1'
local most_work, most_again, indexes = tonumber(take()), tonumber(take()), tonumber(take())
local listed = prefix .. 'ids:' .. kind

-- behind returns where the ids after one begin. No id has a control character, so that
-- nothing lies between an id and the same with one more zero byte; the embedded store
-- takes '(+' for the end of all ids.
local function behind(id) return '[' .. id .. '\0' end

-- A source is an index, or the further ids: ids in order, of which those that were read
-- so far are in ids, and the next one is id. A few are read at a time, and ever more
-- from those that are needed.
local function read(source)
  source.ids = redis.call('ZRANGEBYLEX', source.key, source.from, '+', 'LIMIT', '0', source.most)
  source.at, source.read = 0, #source.ids
  source.more = source.read == source.chunk
  if source.more then
    source.from = behind(source.ids[source.read])
    source.chunk = math.min(2 * source.chunk, limit + 1)
    source.most = string.format('%d', source.chunk)
  end
end

local function advance(source)
  repeat
    local at = source.at
    if at == source.read and source.more then
      read(source)
      at = 0
    end
    source.at = at + 1
    source.id = source.ids[at + 1]
  until not source.id or source.key or redis.call('ZSCORE', listed, source.id)
end

local heap, size = {}, 0 -- the sources that have an id
local function add(source)
  advance(source)
  if source.id then
    size = size + 1
    heap[size] = source
  end
end

local chunk = limit + 1
if indexes > 2 then chunk = math.min(chunk, 2 * math.ceil(chunk / indexes)) end
local from, most = after == '' and '-' or behind(after), string.format('%d', chunk)
for _ = 1, indexes do
  add({key = prefix .. take(), from = from, chunk = chunk, most = most, at = 0, read = 0, more = true})
end
local further = {}
for i = position + 1, #ARGV do further[#further + 1] = ARGV[i] end
add({ids = further, at = 0, read = #further})

-- Lua's own < would follow the locale of the server. Ids are compared by bytes, six at
-- a time as one number: those around the end of what the first ids of all sources begin
-- with, for the ids that follow soon begin otherwise. An id that does not begin so at
-- all comes after those that do, for none is less than the least of the first ones.
local common = size > 0 and heap[1].id or ''
for i = 2, size do
  while string.sub(heap[i].id, 1, #common) ~= common do common = string.sub(common, 1, -2) end
end
common = string.sub(common, 1, -4)
local length = #common

local byte, sub, high = string.byte, string.sub, 281474976710656 -- 2^48
local function rank(source)
  local id, from, beyond = source.id, length, 0
  if length > 0 and sub(id, 1, length) ~= common then from, beyond = 0, high end
  local a, b, c, d, e, f = byte(id, from + 1, from + 6)
  if not f then a, b, c, d, e, f = a or 0, b or 0, c or 0, d or 0, e or 0, 0 end
  source.rank = beyond + ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end

-- precedes compares the ids of two sources of equal rank.
local function precedes(x, y)
  local a, b = x.id, y.id
  if a == b then return false end
  for i = x.rank < high and length + 7 or 7, math.min(#a, #b) do
    local p, q = byte(a, i), byte(b, i)
    if p ~= q then return p < q end
  end
  return #a < #b
end

-- sink lets the source at a place of the heap sink to where it belongs.
local function sink(place)
  local source = heap[place]
  local own = source.rank
  while true do
    local below = 2 * place
    if below > size then break end
    local next = heap[below]
    local least = next.rank
    if below < size then
      local other = heap[below + 1]
      local its = other.rank
      if its < least or its == least and precedes(other, next) then below, next, least = below + 1, other, its end
    end
    if least > own or least == own and not precedes(next, source) then break end
    heap[place] = next
    place = below
  end
  heap[place] = source
end

for i = 1, size do rank(heap[i]) end
for place = math.floor(size / 2), 1, -1 do sink(place) end

local ids, last, more, count, again = {}, '', 0, 0, 0
while size > 0 do
  local first = heap[1]
  if first.id ~= last then
    if count >= limit or again >= most_again then
      more = 1
      break
    end
    count, last = count + 1, first.id
    ids[count] = last
  else
    again = again + 1
  end
  advance(first)
  if not first.id then
    heap[1], heap[size] = heap[size], nil
    size = size - 1
  elseif size > 1 then
    rank(first)
  end
  if size > 1 then sink(1) end
end

local work, hashes, others, seen, unread = 0, {}, {}, {}, 0
local function is_enough() return most_work > 0 and work >= most_work end

local function hash_of(kind, id)
  local hash = redis.call('HGETALL', prefix .. kind .. ':' .. id)
  local text = text_of(hash)
  work = work + work_of(hash, text)
  return hash, text
end

-- also reads a role or group, and reports false if there was enough work before.
local function also(kind, id)
  local key = kind .. ':' .. id
  if seen[key] then return true end
  if is_enough() then return false end
  seen[key] = true
  others[#others + 1] = kind
  others[#others + 1] = id
  local _, text = hash_of(kind, id)
  others[#others + 1] = text
  return true
end

-- held_by reads the role and groups of a team member.
local function held_by(hash)
  for i = 1, #hash, 2 do
    local source, id = source_of(hash[i], hash[i + 1])
    if source and not also(source, id) then return false end
  end
  return true
end

if with_facts then
  for i = 1, count do
    local enough = i > 1 and is_enough()
    if not enough then
      local hash, text = hash_of(kind, ids[i])
      hashes[i] = text
      enough = kind == 'team_member' and not held_by(hash)
    end
    if enough then
      if i < count or i > 1 then more = 1 end
      if i == 1 then unread = 2 else hashes[i] = nil end
      count = math.max(i - 1, 1)
      break
    end
  end
end

reply[2], reply[3] = more + unread, count
for i = 1, count do reply[3 + i] = ids[i] end
for i = 1, #hashes do reply[3 + count + i] = hashes[i] end
local written = #reply
for i = 1, #others do reply[written + i] = others[i] end
return reply
