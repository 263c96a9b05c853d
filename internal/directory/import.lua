-- Applies one batch of records to one organisation: all of it, or nothing.
--
-- KEYS[1]  the head
-- ARGV[1]  the schema that the caller writes
-- ARGV[2]  the nonce of the revision, should there be one
-- ARGV[3…] the records, each as it is taken apart below
--
-- Returns
--   ok, rev, nonce                    done; the same revision if nothing changed
--   schema, number                    the facts have a newer schema
--   damaged                           a key that a script wrote has been tampered with
--   refused, record, reason, field, item
--     the record with this number, from 1, is wrong in this field, and in the
--     item with this number, from 0, if it is a list (else -1)
--
-- The records are applied one after the other to what was read, in memory. Only
-- when all of them fit is anything written.

local prefix = string.sub(KEYS[1], 1, -5)

local head = redis.call('HMGET', KEYS[1], 'rev', 'nonce', 'schema')
if redis.call('EXISTS', KEYS[1]) == 1 then
  local schema = tonumber(head[3] or '')
  if schema and schema > tonumber(ARGV[1]) then return {'schema', head[3]} end
  if head[3] ~= ARGV[1] or not head[1] or not head[2] then return {'damaged'} end
  -- Counting on has to be possible: a script that fails half way leaves half a change.
  if not string.match(head[1], '^%d+$') or #head[1] > 15 then return {'damaged'} end
end

local position = 3
local function take()
  position = position + 1
  return ARGV[position - 1]
end

-- What the batch has read, by key. before is what Redis holds and after what it
-- is to hold; they are the same table until a record changes the entity, and are
-- never changed in place.
local entities, touched = {}, {}

local function entity(kind, id)
  local key = prefix .. kind .. ':' .. id
  local e = entities[key]
  if e then return e end
  local hash = redis.call('HGETALL', key)
  local before = {}
  for i = 1, #hash, 2 do before[hash[i]] = hash[i + 1] end
  e = {kind = kind, id = id, key = key, existed = #hash > 0, exists = #hash > 0, before = before, after = before}
  entities[key] = e
  touched[#touched + 1] = e
  return e
end

local function replace(e, after)
  e.after = after
  e.exists = true
end

-- exists does not read the entity: to be referred to, it only has to be there.
local there = {}
local function exists(kind, id)
  local key = prefix .. kind .. ':' .. id
  if entities[key] then return entities[key].exists end
  if there[key] == nil then there[key] = redis.call('EXISTS', key) == 1 end
  return there[key]
end

-- Sources of a care-team edge: sorted by bytes, a line each. Lua's own < would
-- follow the locale of the server.
local function precedes(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function with_source(sources, source)
  local list, placed = {}, false
  for s in string.gmatch(sources or '', '[^\n]+') do
    if s == source then return sources end
    if not placed and precedes(source, s) then
      list[#list + 1] = source
      placed = true
    end
    list[#list + 1] = s
  end
  if not placed then list[#list + 1] = source end
  return table.concat(list, '\n')
end

local function without_source(sources, source)
  local list = {}
  for s in string.gmatch(sources or '', '[^\n]+') do
    if s ~= source then list[#list + 1] = s end
  end
  if #list == 0 then return nil end
  return table.concat(list, '\n')
end

-- How each kind of record is applied. A function returns nothing when the record
-- fits, else reason, field and item.
local apply = {}

-- name, permissions
function apply.role(id)
  replace(entity('role', id), {name = take(), permissions = take()})
end

function apply.group(id)
  replace(entity('group', id), {name = take(), permissions = take()})
end

-- name
function apply.patient_group(id)
  replace(entity('patient_group', id), {name = take()})
end

-- name, role, provider, and three lists: groups, access, booking
function apply.team_member(id)
  local after = {name = take(), role = take(), provider = take()}
  if after.role ~= '' and not exists('role', after.role) then return 'unknown_role', 'role', -1 end
  local lists = {{'groups', 'g:', 'group'}, {'access', 'a:', 'patient_group'}, {'booking', 'b:', 'patient_group'}}
  for _, list in ipairs(lists) do
    for i = 1, tonumber(take()) do
      local to = take()
      if not exists(list[3], to) then return 'unknown_' .. list[3], list[1], i - 1 end
      after[list[2] .. to] = ''
    end
  end
  replace(entity('team_member', id), after)
end

-- patient_group, and a list: care_team. Edges that bookings bring stay.
function apply.patient(id)
  local after = {patient_group = take()}
  if not exists('patient_group', after.patient_group) then return 'unknown_patient_group', 'patient_group', -1 end
  local e = entity('patient', id)
  for field, sources in pairs(e.after) do
    if string.sub(field, 1, 2) == 'c:' then after[field] = without_source(sources, 'manual') end
  end
  for i = 1, tonumber(take()) do
    local member = take()
    if not exists('team_member', member) then return 'unknown_team_member', 'care_team', i - 1 end
    after['c:' .. member] = with_source(after['c:' .. member], 'manual')
  end
  replace(e, after)
end

-- patient, provider, state. A booking is a source of the provider's place on the
-- care team until it is released.
function apply.booking(id)
  local after = {patient = take(), provider = take(), state = take()}
  if not exists('patient', after.patient) then return 'unknown_patient', 'patient', -1 end
  if not exists('team_member', after.provider) then return 'unknown_team_member', 'provider', -1 end
  local e = entity('booking', id)
  if e.exists and e.after.patient ~= after.patient then return 'rebooked', 'patient', -1 end
  if e.exists and e.after.provider ~= after.provider then return 'rebooked', 'provider', -1 end
  replace(e, after)

  local patient = entity('patient', after.patient)
  local edge, source = 'c:' .. after.provider, 'booking:' .. id
  local sources
  if after.state == 'released' then
    sources = without_source(patient.after[edge], source)
  else
    sources = with_source(patient.after[edge], source)
  end
  if sources ~= patient.after[edge] then
    local changed = {}
    for field, value in pairs(patient.after) do changed[field] = value end
    changed[edge] = sources
    replace(patient, changed)
  end
end

local number = 0
while position <= #ARGV do
  number = number + 1
  local kind, id = take(), take()
  local reason, field, item = apply[kind](id)
  if reason then return {'refused', number, reason, field, item} end
end

-- The other side of a field: the key, and its type, of the set that holds the ids
-- of the entities which have the field with this value.
local edges = {
  ['g:'] = {'group-members:', 'set'},
  ['a:'] = {'access:', 'set'},
  ['b:'] = {'bookable:', 'set'},
  ['c:'] = {'care:', 'zset'},
}
local sides = {
  team_member = {role = {'role-members:', 'set'}},
  patient = {patient_group = {'patients:', 'zset'}},
  booking = {patient = {'bookings-of:', 'set'}},
}
local function other_side(kind, field, value)
  if not value or value == '' and field == 'role' then return nil end
  local edge = edges[string.sub(field, 1, 2)]
  if edge then return prefix .. edge[1] .. string.sub(field, 3), edge[2] end
  local side = sides[kind] and sides[kind][field]
  if side then return prefix .. side[1] .. value, side[2] end
  return nil
end

-- The plan: every command that makes Redis hold what the batch says, from the
-- difference between before and after of each entity that it touched.
local plan, types = {}, {}
local function command(...) plan[#plan + 1] = {...} end

local function link(key, type, id)
  types[key] = type
  if type == 'zset' then command('ZADD', key, '0', id) else command('SADD', key, id) end
end

local function unlink(key, type, id)
  types[key] = type
  if type == 'zset' then command('ZREM', key, id) else command('SREM', key, id) end
end

for _, e in ipairs(touched) do
  local before, after = e.before, e.after
  if not e.existed and e.exists then link(prefix .. 'ids:' .. e.kind, 'zset', e.id) end
  for field, value in pairs(before) do
    if after[field] ~= value then
      local old, type = other_side(e.kind, field, value)
      if old and old ~= other_side(e.kind, field, after[field]) then unlink(old, type, e.id) end
      if not after[field] then command('HDEL', e.key, field) end
    end
  end
  for field, value in pairs(after) do
    if before[field] ~= value then
      local new, type = other_side(e.kind, field, value)
      if new and new ~= other_side(e.kind, field, before[field]) then link(new, type, e.id) end
      command('HSET', e.key, field, value)
    end
  end
end

if #plan == 0 then return {'ok', head[1] or '0', head[2] or ''} end

-- A command that fails here would leave half a change behind, and the only ones
-- that can are those on a key of the wrong type.
for key, expected in pairs(types) do
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= expected then return {'damaged'} end
end

-- The revision first: whatever a command that Redis refuses leaves behind, for a
-- user who may not give it, is not taken for the revision of before.
redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('HSET', KEYS[1], 'nonce', ARGV[2], 'schema', ARGV[1])
for _, c in ipairs(plan) do redis.call(unpack(c)) end
return {'ok', redis.call('HGET', KEYS[1], 'rev'), ARGV[2]}
