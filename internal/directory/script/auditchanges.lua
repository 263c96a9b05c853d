-- Reads a part of the stream of changes of one organisation, and looks whether the
-- entities are there that it says exist, as one snapshot. Everything else is for the
-- caller to see.
--
-- KEYS[1]  the head
-- ARGV[1]  the id of the change from which the part begins, '-' for the first one
-- ARGV[2]  the number of bytes after which it ends
-- ARGV[3]  the number of commands after which it ends
--
-- Returns
--   the head as {type, fields and values}
--   the type of the stream; if that is no stream, nothing else
--   the ids of its first and of its last change
--   the changes, each as {id, fields and values}
--   a flat list of the id of a change and kind:id of an entity that exists after it
--     and does not exist now; not for the change with which the part begins if it is
--     named, for then the part before ended with it

local prefix = string.sub(KEYS[1], 1, -5)
local stream = prefix .. 'changes'

local head = {redis.call('TYPE', KEYS[1]).ok, {}}
if head[1] == 'hash' then head[2] = redis.call('HGETALL', KEYS[1]) end
local type = redis.call('TYPE', stream).ok
if type ~= 'stream' then return {head, type} end

local function edge(command, from, to)
  local found = redis.call(command, stream, from, to, 'COUNT', '1')
  return found[1] and found[1][1] or ''
end

local commands, bytes = 0, 0
local changes, gone = {}, {}

-- look looks for the entities of a change. Each image begins with the name and the
-- two flags.
local function look(id, images)
  for image in string.gmatch(images, '[^\2]+') do
    local name, exists = string.match(image, '^([^\1]*)\1.(.)\1')
    if exists == '1' then
      commands = commands + 1
      if redis.call('EXISTS', prefix .. name) == 0 then
        gone[#gone + 1] = id
        gone[#gone + 1] = name
      end
    end
  end
end

local from = ARGV[1]
while bytes < tonumber(ARGV[2]) and commands < tonumber(ARGV[3]) do
  local found = redis.call('XRANGE', stream, from, '+', 'COUNT', '1')
  commands = commands + 1
  if #found == 0 then break end
  local id, fields = found[1][1], found[1][2]
  changes[#changes + 1] = {id, fields}
  if id ~= ARGV[1] then
    for i = 1, #fields, 2 do
      bytes = bytes + #fields[i + 1]
      if fields[i] == 'images' then look(id, fields[i + 1]) end
    end
  end
  from = '(' .. id
end
return {head, type, edge('XRANGE', '-', '+'), edge('XREVRANGE', '+', '-'), changes, gone}
