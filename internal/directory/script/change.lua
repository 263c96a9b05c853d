-- Commits one change to one organisation: all of its edits, or nothing.
--
-- KEYS[1]     the head
-- ARGV[1]     the schemas that the caller understands, from the first one, each between spaces
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
-- script: changedelete.lua and changewrite.lua follow it, and the tables of table.go come
-- before it.

local prefix = string.sub(KEYS[1], 1, -5)
local limit = tonumber(ARGV[3])
local dry = ARGV[2] == ''

local head = redis.call('HMGET', KEYS[1], 'rev', 'nonce', 'schema', 'log')
if redis.call('EXISTS', KEYS[1]) == 1 then
  if not string.find(ARGV[1], ' ' .. (head[3] or '') .. ' ', 1, true) then
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
  head = {'0', '', string.match(ARGV[1], '%d+'), '0'}
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

-- unknown returns nothing if what a field refers to exists, or if it refers to nothing, and
-- else why it does not fit.
local function unknown(field, to, item)
  if field.to and not exists(field.to, to) then return 'unknown_' .. field.to, field.name, item end
end

-- Like all edits a function returns nothing when it fits, else reason, field and item.
local edit = {}

-- kind, id, the single values of the kind in the order of the table, '' for a flag that is not
-- stored, and for each of its lists the number of ids and the ids. The places on a care team that bookings bring stay. That the
-- provider of a booking is one is not asked: they may have been when it was made.
function edit.put()
  local kind, id = take(), take()
  local e, after = entity(kind, id), {}
  if kind == 'patient' then
    for field, sources in pairs(e.after) do
      if string.sub(field, 1, 2) == 'c:' then after[field] = without_source(sources, 'manual') end
    end
  end
  for _, field in ipairs(singles[kind]) do
    local value = take()
    if value ~= '' or field.always then
      local reason, name, item = unknown(field, value, -1)
      if reason then return reason, name, item end
    end
    if value ~= '' or not field.since then after[field.name] = value end
  end
  for _, list in ipairs(lists[kind]) do
    for i = 1, tonumber(take()) do
      local to = take()
      local reason, name, item = unknown(list, to, i - 1)
      if reason then return reason, name, item end
      local field = list.edge .. to
      after[field] = list.edge == 'c:' and with_source(after[field], 'manual') or ''
    end
  end
  if kind == 'booking' and e.exists then
    if e.after.patient ~= after.patient then return 'rebooked', 'patient', -1 end
    if e.after.provider ~= after.provider then return 'rebooked', 'provider', -1 end
  end
  replace(e, after)
  if kind == 'booking' then care_for(id, after, after.state ~= 'released') end
end

-- kind, id, the number of fields, and field and value of each
function edit.set()
  local e = entity(take(), take())
  if not e.exists then return 'missing', 'key', -1 end
  local after = fields_of(e)
  for _ = 1, tonumber(take()) do
    local field, value = take(), take()
    for _, single in ipairs(singles[e.kind]) do
      if single.name == field and (value ~= '' or single.always) then
        local reason, name, item = unknown(single, value, -1)
        if reason then return reason, name, item end
      elseif single.name == field and single.since then
        value = nil
      end
    end
    if field == 'provider' and value == '0' then -- B1
      for other in pairs(after) do
        if string.sub(other, 1, 2) == 'b:' then return 'has_booking', field, -1 end
      end
    end
    after[field] = value
  end
  replace(e, after)
end

-- relation, from, to
function edit.link()
  local name, from, to = take(), take(), take()
  local relation = links[name]
  local e, field = entity(relation.from, from), relation.edge .. to
  if not e.exists then return 'missing', 'from', -1 end
  if not exists(relation.to, to) then return 'missing', 'to', -1 end
  if name == 'booking' and e.after.provider ~= '1' then return 'no_provider', 'from', -1 end -- B1
  local after = fields_of(e)
  after[field] = name == 'care_team' and with_source(after[field], 'manual') or ''
  replace(e, after)
end

function edit.unlink()
  local name, from, to = take(), take(), take()
  local relation = links[name]
  local e, field = entity(relation.from, from), relation.edge .. to
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
