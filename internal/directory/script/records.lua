-- Reads records of one organisation, or the ids of those that relate to one, as
-- one snapshot.
--
-- KEYS[1]  the head
-- ARGV[1]  the schemas that the caller understands, each between spaces
-- ARGV[2]  what to read, with further arguments:
--
--   get      the work after which the reading ends, 0 for no end, and kind, id, kind,
--            id …
--            Returns the head, then the hash of each entity as far as it came, of one
--            at least: '' for one that does not exist and 0 for one that was lost.
--   list     kind, the id after which the page begins ('' for the first page), the
--            most entities on it, the work after which it ends
--            Returns the head, 1 if there are more entities after the page and else
--            0, then id, hash, id, hash … in the order of the ids.
--   related  the name of an index without the id that it is about, the kind and the
--            id of what it is about, the id after which the page begins, the most
--            ids on it
--            Returns the head, 1 if what it is about exists and else 0, 1 if there
--            are more ids after the page and else 0, then the ids in order.
--
-- Returns the head alone if there is no organisation or it has another schema. A
-- hash is one text, its fields and values with zero bytes between them, which
-- neither can have.

local prefix = string.sub(KEYS[1], 1, -5)

local head = redis.call('HGETALL', KEYS[1])
local schema
for i = 1, #head, 2 do
  if head[i] == 'schema' then schema = head[i + 1] end
end
local reply = {table.concat(head, '\0')}
if not string.find(ARGV[1], ' ' .. (schema or '') .. ' ', 1, true) then return reply end

local function add(value) reply[#reply + 1] = value end

-- page returns the ids of an index after one of them, one more than the limit if
-- there are more. No id has a control character, so that nothing lies between an
-- id and the same with one more zero byte.
local function page(index, after, limit)
  local from = '-'
  if after ~= '' then from = '[' .. after .. '\0' end
  return redis.call('ZRANGEBYLEX', prefix .. index, from, '+', 'LIMIT', '0', string.format('%d', limit + 1))
end

local what = ARGV[2]
if what == 'get' then
  local most, work = tonumber(ARGV[3]), 0
  for i = 4, #ARGV, 2 do
    if most > 0 and work >= most then break end
    local kind, id = ARGV[i], ARGV[i + 1]
    local hash = redis.call('HGETALL', prefix .. kind .. ':' .. id)
    local text = text_of(hash)
    work = work + work_of(hash, text)
    if #hash == 0 and redis.call('ZSCORE', prefix .. 'ids:' .. kind, id) then
      add(0)
    else
      add(text)
    end
  end
elseif what == 'list' then
  local kind, limit, most = ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6])
  local ids = page('ids:' .. kind, ARGV[4], limit)
  add(0)
  local work = 0
  for i, id in ipairs(ids) do
    if i > limit or work >= most then
      reply[2] = 1
      break
    end
    local hash = redis.call('HGETALL', prefix .. kind .. ':' .. id)
    local text = text_of(hash)
    work = work + work_of(hash, text)
    add(id)
    add(text)
  end
else
  local limit = tonumber(ARGV[7])
  add(redis.call('ZSCORE', prefix .. 'ids:' .. ARGV[4], ARGV[5]) and 1 or 0)
  local ids = page(ARGV[3] .. ':' .. ARGV[5], ARGV[6], limit)
  add(#ids > limit and 1 or 0)
  for i = 1, math.min(#ids, limit) do add(ids[i]) end
end
return reply
