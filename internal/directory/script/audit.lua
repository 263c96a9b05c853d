-- Compares keys of one organisation with the other side of everything that they
-- say, as one snapshot. What is wrong within a hash is for the caller to see.
--
-- KEYS[1]  the head
-- ARGV[1]  the schemas that the caller understands, each between spaces
-- ARGV[2]  the number of commands after which a reply ends
-- ARGV[3]  the members on a page of an index, and the most fields of an entity that are
--          compared at once
-- ARGV[4]  the most fields that a hash is read with
-- ARGV[5…] what, id, cursor, member and so on, four for each key:
--          what is a kind of entity, an index, or 'key' for any other key; id is
--          the last part of the name of the key, for 'key' all of it, for
--          user-admins ''; cursor and member are for an index: a page from that
--          cursor, with 'only' this one member, with '' none; and for an entity
--          'only' is for this one field, if it has it
--
-- Returns the head as {type, fields and values}, alone if it has another schema
-- that Caregate may have written, and else, for each key, for as many as the number
-- of commands allows, one at least:
--   an entity  {type, fields and values, breaches, the number of fields that were
--              compared, from the first on}; 'huge' for a hash that is too large to be
--              read
--   an index   {type, next cursor, breaches}
--   any other  {type}
-- Breaches are a flat list: code, field or member, detail and so on. Among those of
-- a role or group 'admin' and 'no_admin' are none: they say whether user-admins has
-- it.

local prefix = string.sub(KEYS[1], 1, -5)

local count = 0
local function call(...)
  count = count + 1
  return redis.call(...)
end

local types = {}
local function type_of(name)
  local type = types[name]
  if not type then
    type = call('TYPE', prefix .. name).ok
    types[name] = type
  end
  return type
end

local head = {type_of('head'), {}}
if head[1] == 'hash' then head[2] = call('HGETALL', KEYS[1]) end
for i = 1, #head[2], 2 do
  local number = head[2][i] == 'schema' and string.match(head[2][i + 1], '^[1-9]%d*$')
  if number and not string.find(ARGV[1], ' ' .. number .. ' ', 1, true) then return {head} end
end

-- lacks reports whether an index is without a member. One of the wrong type lacks
-- nothing: it is reported itself, once.
local function lacks(index, member)
  local found = type_of(index)
  if found == 'none' then return true end
  return found == 'zset' and not call('ZSCORE', prefix .. index, member)
end

-- has_source reports whether a text of sources, a line each, has this one.
local function has_source(sources, source)
  return string.find('\n' .. sources .. '\n', '\n' .. source .. '\n', 1, true) ~= nil
end

-- How each kind of entity is compared. breach takes a code, a field and a detail.
local compare = {}

-- Whether user-admins is to have a role or group is for the caller to say, who
-- reads the permissions.
local function grants(kind, index)
  return function(id, hash, breach)
    if type_of(index .. id) == 'none' then breach('unused', '', '') end
    if lacks('user-admins', kind .. ':' .. id) then
      breach('no_admin', '', '')
    elseif type_of('user-admins') == 'zset' then
      breach('admin', '', '')
    end
  end
end
compare.role = grants('role', 'role-members:')
compare.group = grants('group', 'group-members:')

function compare.patient_group(id, hash, breach)
  if type_of('access:' .. id) == 'none' and type_of('patients:' .. id) ~= 'none' then breach('unused', '', '') end
end

function compare.team_member(id, hash, breach)
  for i = 1, #hash, 2 do
    local field, value = hash[i], hash[i + 1]
    local refers, to
    for _, list in ipairs(lists.team_member) do
      if string.sub(field, 1, #list.edge) == list.edge then refers, to = list, string.sub(field, #list.edge + 1) end
    end
    for _, single in ipairs(singles.team_member) do
      if field == single.name and single.to and value ~= '' then refers, to = single, value end
    end
    if refers then
      if type_of(refers.to .. ':' .. to) == 'none' then breach('reference', field, to) end
      if lacks(refers.index .. to, id) then breach('lacks', field, refers.index .. to) end
    end
  end
end

function compare.patient(id, hash, breach)
  for i = 1, #hash, 2 do
    local field, value = hash[i], hash[i + 1]
    if field == 'patient_group' then
      if type_of('patient_group:' .. value) == 'none' then breach('reference', field, value) end
      if lacks('patients:' .. value, id) then breach('lacks', field, 'patients:' .. value) end
    elseif string.sub(field, 1, 2) == 'c:' then
      local member = string.sub(field, 3)
      if type_of('team_member:' .. member) == 'none' then breach('reference', field, member) end
      if lacks('care:' .. member, id) then breach('lacks', field, 'care:' .. member) end
      for booking in string.gmatch('\n' .. value, '\nbooking:([^\n]*)') do
        local name = 'booking:' .. booking
        local type = type_of(name)
        if type == 'none' then
          breach('source_unknown', field, booking)
        elseif type == 'hash' then
          local b = call('HMGET', prefix .. name, 'patient', 'provider', 'state')
          if b[1] ~= id or b[2] ~= member then
            breach('source_other', field, booking)
          elseif b[3] == 'released' then
            breach('source_released', field, booking)
          end
        end
      end
    end
  end
end

function compare.booking(id, hash, breach)
  local b = {}
  for i = 1, #hash, 2 do b[hash[i]] = hash[i + 1] end
  if b.provider then
    local index = 'bookings-with:' .. b.provider
    if type_of('team_member:' .. b.provider) == 'none' then breach('reference', 'provider', b.provider) end
    if lacks(index, id) then breach('lacks', 'provider', index) end
  end
  if not b.patient then return end
  local patient = 'patient:' .. b.patient
  if type_of(patient) == 'none' then breach('reference', 'patient', b.patient) end
  if lacks('bookings-of:' .. b.patient, id) then breach('lacks', 'patient', 'bookings-of:' .. b.patient) end
  if b.provider and (b.state == 'booked' or b.state == 'cancelled') and type_of(patient) == 'hash' then
    local sources = call('HGET', prefix .. patient, 'c:' .. b.provider) or ''
    if not has_source(sources, 'booking:' .. id) then breach('no_source', b.provider, b.patient) end
  end
end

local function entity(kind, id, cursor, only)
  local key, name = prefix .. kind .. ':' .. id, kind .. ':' .. id
  local type, hash, breaches = type_of(name), {}, {}
  if type ~= 'hash' then return {type, hash, breaches, 0} end
  local function breach(code, field, detail)
    breaches[#breaches + 1] = code
    breaches[#breaches + 1] = field
    breaches[#breaches + 1] = detail
  end
  if cursor == 'only' then
    local value = call('HGET', key, only)
    if value then compare[kind](id, {only, value}, breach) end
    return {type, hash, breaches, 0}
  end
  if call('HLEN', key) > tonumber(ARGV[4]) then return {'huge', hash, breaches, 0} end
  hash = call('HGETALL', key)
  count = count + #hash / 16
  if lacks('ids:' .. kind, id) then breach('unlisted', '', '') end
  local some, fields = hash, #hash / 2
  local most = tonumber(ARGV[3])
  if fields > most then
    some, fields = {}, most
    for i = 1, 2 * most do some[i] = hash[i] end
  end
  compare[kind](id, some, breach)
  return {type, hash, breaches, fields}
end

-- The indexes: the kind of the entity that one is about, the kind of its members,
-- and the field in which a member says the same, either named so with this value or
-- with the id in its name. Those of user-admins are kind:id.
local indexes = {['ids'] = {}, ['user-admins'] = {}}
for _, kind in ipairs(kinds) do
  for _, single in ipairs(singles[kind]) do
    if single.to then indexes[string.sub(single.index, 1, -2)] = {single.to, kind, single.name, true} end
  end
  for _, list in ipairs(lists[kind]) do
    indexes[string.sub(list.index, 1, -2)] = {list.to, kind, list.edge}
  end
end

-- member_of returns what is wrong with a member of an index, nothing if all is
-- well.
local function member_of(what, id, member)
  local is = indexes[what]
  local name = (is[2] or id) .. ':' .. member
  if what == 'user-admins' then
    name = member
    if not string.find(name, '^role:') and not string.find(name, '^group:') then return 'member_unknown' end
  end
  local found = type_of(name)
  if found == 'none' then return 'member_unknown' end
  if found ~= 'hash' or not is[3] then return nil end
  if is[4] then
    if call('HGET', prefix .. name, is[3]) ~= id then return 'one_sided' end
  elseif call('HEXISTS', prefix .. name, is[3] .. id) == 0 then
    return 'one_sided'
  end
end

local function index(what, id, cursor, only)
  local is, name = indexes[what], what .. ':' .. id
  if what == 'user-admins' then name = what end
  local type, breaches = type_of(name), {}
  if type ~= 'zset' then return {type, '0', breaches} end
  local function breach(code, member)
    breaches[#breaches + 1] = code
    breaches[#breaches + 1] = member
    breaches[#breaches + 1] = ''
  end
  if is[1] and (cursor == '0' or cursor == '') and type_of(is[1] .. ':' .. id) == 'none' then breach('orphan', '') end

  local next, members = '0', {}
  if cursor == 'only' then
    local score = call('ZSCORE', prefix .. name, only)
    if score then members = {only, score} end
  elseif cursor ~= '' then
    local page = call('ZSCAN', prefix .. name, cursor, 'COUNT', ARGV[3])
    next, members = page[1], page[2]
  end
  for i = 1, #members, 2 do
    if tonumber(members[i + 1]) ~= 0 then breach('score', members[i]) end
    local code = member_of(what, id, members[i])
    if code then breach(code, members[i]) end
  end
  return {type, next, breaches}
end

local reply = {head}
for i = 5, #ARGV, 4 do
  local what, id = ARGV[i], ARGV[i + 1]
  if compare[what] then
    reply[#reply + 1] = entity(what, id, ARGV[i + 2], ARGV[i + 3])
  elseif indexes[what] then
    reply[#reply + 1] = index(what, id, ARGV[i + 2], ARGV[i + 3])
  else
    reply[#reply + 1] = {type_of(id)}
  end
  if count >= tonumber(ARGV[2]) then break end
end
return reply
