-- Commits one change to one organisation: all of its edits, or nothing.
--
-- KEYS[1]     the head
-- ARGV[1]     the schema that the caller writes
-- ARGV[2]     the first part of the nonce of the revision, should there be one; '' to
--             write nothing and say what would change
-- ARGV[3]     the most entities that may change
-- ARGV[4, 5]  the most entries, and the most bytes of images, that the stream keeps
-- ARGV[6…8]   who made the change, how, and in which request
-- ARGV[9]     the revision that the organisation must have, '' for any
-- ARGV[10]    a revision that it must include, '' for none
-- ARGV[11]    the number of expectations, then for each kind, id, and the revision of
--             its last change, '' if it must not exist
-- ARGV[…]     the edits, each as it is taken apart below; none only looks at the
--             expectations
--
-- Returns
--   ok, rev, nonce, changed           done; the same revision if nothing changed
--   altered, rev, nonce, changed, …   nothing is written; kind, id, before, after of each
--                                     entity that would change follow, the last two its
--                                     fields and values with zero bytes between them, ''
--                                     if it does not exist; rev is that of its last
--                                     change, or the organisation's for a new one
--   nowhere                           nothing is written; there is no organisation
--   schema, number                    the facts have another schema
--   behind                            it does not include that revision
--   damaged                           a key that a script wrote has been tampered with
--   moved, number                     this expectation, from 1, does not hold, or with
--                                     0 that about the revision
--   refused, edit, reason, field, item
--     the edit with this number, from 1, or with 0 the change as a whole, is wrong in
--     this field, and in the item with this number, from 0, if it is a list (else -1)
--   refused, edit, in_use, field, -1, count, kind, id, kind, id …
--     so many entities refer to what is to be deleted; the first of them
--
-- The edits are applied one after the other to what was read, in memory. Only
-- when all of them fit is anything written. This text is the first part of the
-- script: changedelete.lua and changewrite.lua follow it.

local prefix = string.sub(KEYS[1], 1, -5)
local limit = tonumber(ARGV[3])
local dry = ARGV[2] == ''

local head = redis.call('HMGET', KEYS[1], 'rev', 'nonce', 'schema', 'log')
if redis.call('EXISTS', KEYS[1]) == 1 then
  if head[3] ~= ARGV[1] then
    if string.match(head[3] or '', '^[1-9]%d*$') then return {'schema', head[3]} end
    return {'damaged'}
  end
  -- Counting on has to be possible: a script that fails half way leaves half a change.
  if not string.match(head[1] or '', '^[1-9]%d*$') or #head[1] > 15 or (head[2] or '') == '' then return {'damaged'} end
  if not string.match(head[4] or '', '^%d+$') or #head[4] > 15 then return {'damaged'} end
  -- The caller lost the answer and asks again.
  if not dry and string.sub(head[2], 1, #ARGV[2]) == ARGV[2] then return {'ok', head[1], head[2], 1} end
elseif dry then
  return {'nowhere'}
else
  head = {'0', '', ARGV[1], '0'}
end

local position = 9
local function take()
  position = position + 1
  return ARGV[position - 1]
end

local function token_of(entry)
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  return string.match(entry[1], '^%d+') .. '.' .. (fields.nonce or '')
end

local at_revision, at_least = take(), take()
local now = head[1] .. '.' .. (head[2] == '' and '0' or head[2])
if at_least ~= '' and at_least ~= now then
  local id = string.match(at_least, '^%d+') .. '-0'
  local entry = redis.call('XRANGE', prefix .. 'changes', id, id)[1]
  if not entry or token_of(entry) ~= at_least then return {'behind'} end
end
for number = 1, tonumber(take()) do
  local kind, id, since = take(), take(), take()
  local key = prefix .. kind .. ':' .. id
  if since == '' then
    if redis.call('EXISTS', key) == 1 then return {'moved', number} end
  elseif redis.call('HGET', key, 'rev') ~= since then
    return {'moved', number}
  end
end
if at_revision ~= '' and at_revision ~= now then return {'moved', 0} end

-- What the change has read, by kind and id, and in order. before is what Redis holds and
-- after what it is to hold, empty for what does not exist; they are the same table
-- until an edit changes the entity, and are never changed in place.
local kinds = {'role', 'group', 'patient_group', 'team_member', 'patient', 'booking'}
local entities, loaded, there = {}, {}, {}
for _, kind in ipairs(kinds) do entities[kind], loaded[kind], there[kind] = {}, {}, {} end

local function entity(kind, id)
  local e = entities[kind][id]
  if e then return e end
  local key = prefix .. kind .. ':' .. id
  local hash = redis.call('HGETALL', key)
  local before = {}
  for i = 1, #hash, 2 do before[hash[i]] = hash[i + 1] end
  local existed = #hash > 0
  e = {kind = kind, id = id, key = key, existed = existed, exists = existed, before = before, after = before}
  -- One without a revision was tampered with; writing it anew puts that right.
  e.stale = existed and not string.match(before.rev or '', '^%d+%..')
  e.rev, before.rev = before.rev, nil
  entities[kind][id] = e
  local list = loaded[kind]
  list[#list + 1] = e
  return e
end

local function replace(e, after)
  e.after = after
  e.exists = true
end

local function remove(e)
  e.after = {}
  e.exists = false
end

-- fields_of returns the fields of an entity to be changed.
local function fields_of(e)
  local fields = {}
  for field, value in pairs(e.after) do fields[field] = value end
  return fields
end

-- exists does not read the entity: to be referred to, it only has to be there.
local function exists(kind, id)
  local e = entities[kind][id]
  if e then return e.exists end
  local found = there[kind][id]
  if found == nil then
    found = redis.call('EXISTS', prefix .. kind .. ':' .. id) == 1
    there[kind][id] = found
  end
  return found
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
  if not sources then return source end
  local list, placed = {}, false
  for s in string.gmatch(sources, '[^\n]+') do
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
  if not sources or sources == source then return nil end
  local list = {}
  for s in string.gmatch(sources, '[^\n]+') do
    if s ~= source then list[#list + 1] = s end
  end
  if #list == 0 then return nil end
  return table.concat(list, '\n')
end

-- care_for makes a booking a source of its provider's place on the care team, or
-- with held = false takes it away (B5, B6).
local function care_for(booking, fields, held)
  local patient = entity('patient', fields.patient)
  if not patient.exists then return end
  local edge, source = 'c:' .. fields.provider, 'booking:' .. booking
  local change = held and with_source or without_source
  local sources = change(patient.after[edge], source)
  if sources ~= patient.after[edge] then
    local after = fields_of(patient)
    after[edge] = sources
    replace(patient, after)
  end
end

-- How a record of each kind is put. Like all edits a function returns nothing when
-- it fits, else reason, field and item.
local put = {}

-- name, permissions
function put.role(id)
  replace(entity('role', id), {name = take(), permissions = take()})
end

function put.group(id)
  replace(entity('group', id), {name = take(), permissions = take()})
end

-- name
function put.patient_group(id)
  replace(entity('patient_group', id), {name = take()})
end

-- name, role, provider, and three lists: groups, access, booking
local member_lists = {{'groups', 'g:', 'group'}, {'access', 'a:', 'patient_group'}, {'booking', 'b:', 'patient_group'}}
function put.team_member(id)
  local after = {name = take(), role = take(), provider = take()}
  if after.role ~= '' and not exists('role', after.role) then return 'unknown_role', 'role', -1 end
  for _, list in ipairs(member_lists) do
    for i = 1, tonumber(take()) do
      local to = take()
      if not exists(list[3], to) then return 'unknown_' .. list[3], list[1], i - 1 end
      after[list[2] .. to] = ''
    end
  end
  replace(entity('team_member', id), after)
end

-- patient_group, and a list: care_team. Edges that bookings bring stay.
function put.patient(id)
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

-- patient, provider, state. That the provider is one is not asked: they may have
-- been when it was made.
function put.booking(id)
  local after = {patient = take(), provider = take(), state = take()}
  if not exists('patient', after.patient) then return 'unknown_patient', 'patient', -1 end
  if not exists('team_member', after.provider) then return 'unknown_team_member', 'provider', -1 end
  local e = entity('booking', id)
  if e.exists and e.after.patient ~= after.patient then return 'rebooked', 'patient', -1 end
  if e.exists and e.after.provider ~= after.provider then return 'rebooked', 'provider', -1 end
  replace(e, after)
  care_for(id, after, after.state ~= 'released')
end

local edit = {}

-- kind, id, and what the kind takes
function edit.put()
  local kind, id = take(), take()
  return put[kind](id)
end

-- kind, id, the number of fields, and field and value of each
function edit.set()
  local e = entity(take(), take())
  if not e.exists then return 'missing', 'key', -1 end
  local after = fields_of(e)
  for _ = 1, tonumber(take()) do
    local field, value = take(), take()
    if field == 'role' and value ~= '' and not exists('role', value) then return 'unknown_role', field, -1 end
    if field == 'patient_group' and not exists('patient_group', value) then return 'unknown_patient_group', field, -1 end
    if field == 'provider' and value == '0' then -- B1
      for other in pairs(after) do
        if string.sub(other, 1, 2) == 'b:' then return 'has_booking', field, -1 end
      end
    end
    after[field] = value
  end
  replace(e, after)
end

-- The relations that are made and ended by themselves: the kinds of their ends, and
-- what the field begins with that has them.
local relations = {
  group = {'team_member', 'group', 'g:'},
  access = {'team_member', 'patient_group', 'a:'},
  booking = {'team_member', 'patient_group', 'b:'},
  care_team = {'patient', 'team_member', 'c:'},
}

-- relation, from, to
function edit.link()
  local name, from, to = take(), take(), take()
  local relation = relations[name]
  local e, field = entity(relation[1], from), relation[3] .. to
  if not e.exists then return 'missing', 'from', -1 end
  if not exists(relation[2], to) then return 'missing', 'to', -1 end
  if name == 'booking' and e.after.provider ~= '1' then return 'no_provider', 'from', -1 end -- B1
  local after = fields_of(e)
  after[field] = name == 'care_team' and with_source(after[field], 'manual') or ''
  replace(e, after)
end

function edit.unlink()
  local name, from, to = take(), take(), take()
  local relation = relations[name]
  local e, field = entity(relation[1], from), relation[3] .. to
  if not e.after[field] then return end
  local after = fields_of(e)
  after[field] = name == 'care_team' and without_source(after[field], 'manual') or nil
  replace(e, after)
end

-- id, patient, provider (B5)
function edit.book()
  local id, after = take(), {patient = take(), provider = take(), state = 'booked'}
  local e = entity('booking', id)
  if e.exists then
    if e.after.patient ~= after.patient then return 'rebooked', 'patient', -1 end
    if e.after.provider ~= after.provider then return 'rebooked', 'provider', -1 end
    if e.after.state ~= 'booked' then return 'ended', 'id', -1 end
    return
  end
  if not exists('patient', after.patient) then return 'unknown_patient', 'patient', -1 end
  local provider = entity('team_member', after.provider)
  if not provider.exists then return 'unknown_team_member', 'provider', -1 end
  if provider.after.provider ~= '1' then return 'no_provider', 'provider', -1 end -- B1
  replace(e, after)
  care_for(id, after, true)
end

-- id, release (B6)
function edit.cancel()
  local id, release = take(), take() == '1'
  local e = entity('booking', id)
  if not e.exists then return 'missing', 'key', -1 end
  if e.after.state == 'released' or e.after.state == 'cancelled' and not release then return end
  local after = fields_of(e)
  after.state = release and 'released' or 'cancelled'
  replace(e, after)
  if release then care_for(id, after, false) end
end
