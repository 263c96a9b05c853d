-- Reads one page of the entities of a kind, in the order of their ids.
--
-- KEYS[1]  the head
-- ARGV[1]  the schema that the caller understands
-- ARGV[2]  the kind
-- ARGV[3]  the id after which the page begins, '' for the first page
-- ARGV[4]  the most entities on a page
-- ARGV[5]  the number of fields after which a page ends
--
-- Returns the head, then id, hash, id, hash … or the head alone if there is no
-- organisation or it has another schema. A hash is one text, its fields and
-- values with zero bytes between them, which neither can have.

local prefix = string.sub(KEYS[1], 1, -5)

local head = redis.call('HGETALL', KEYS[1])
local schema
for i = 1, #head, 2 do
  if head[i] == 'schema' then schema = head[i + 1] end
end
local reply = {table.concat(head, '\0')}
if schema ~= ARGV[1] then return reply end

-- No id has a control character, so that nothing lies between an id and the same
-- with one more zero byte.
local from = '-'
if ARGV[3] ~= '' then from = '[' .. ARGV[3] .. '\0' end

local fields = 0
local ids = redis.call('ZRANGEBYLEX', prefix .. 'ids:' .. ARGV[2], from, '+', 'LIMIT', '0', ARGV[4])
for _, id in ipairs(ids) do
  local hash = redis.call('HGETALL', prefix .. ARGV[2] .. ':' .. id)
  reply[#reply + 1] = id
  reply[#reply + 1] = table.concat(hash, '\0')
  fields = fields + #hash / 2
  if fields >= tonumber(ARGV[5]) then break end
end
return reply
