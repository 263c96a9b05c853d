-- The third part of change.lua: the edits are applied, what they left in memory is
-- checked as a whole, logged and written.

local number = 0
while position <= #ARGV do
  number = number + 1
  local reason, field, item, total, list = edit[take()]()
  if reason then
    local reply = {'refused', number, reason, field, item, total}
    for i = 1, #(list or {}) do reply[6 + i] = list[i] end
    return reply
  end
end

-- Two permissions stand for others so that nobody could give them back (A4): user:*, and
-- *:*, which is user:* too. What a role or group grants is looked for as it is listed; a quote
-- within one of the list has a backslash before it.
local all, users = '[%[,]"%*:%*"', '[%[,]"user:%*"'
local function mentions(permissions, permission) return string.find(permissions or '', permission) ~= nil end
local function grants_all(permissions) return mentions(permissions, all) end
local function grants_users(permissions) return mentions(permissions, users) or grants_all(permissions) end

-- Roles and groups that grant user:* are in user-admins; no others grant *:*. Of those that
-- the change has not read Redis is asked, once.
local known = {}
local function permissions_of(kind, id)
  local name = kind .. ':' .. id
  if known[name] == nil then
    known[name] = redis.call('ZSCORE', prefix .. 'user-admins', name) and redis.call('HGET', prefix .. name, 'permissions') or ''
  end
  return known[name]
end

local member_indexes = {role = 'role-members:', group = 'group-members:'}

-- has_active reports whether a role or group has a member who is not suspended (P7), of those
-- that the change has read only with read = true, as they were before it.
local function has_active(kind, id, read)
  local key, from = prefix .. member_indexes[kind] .. id, 0
  while true do
    local page = redis.call('ZRANGE', key, string.format('%d', from), string.format('%d', from + 99))
    for _, member in ipairs(page) do
      local e = entities.team_member[member]
      if e and read and not e.before.suspended then return true end
      if not e and not redis.call('HGET', prefix .. 'team_member:' .. member, 'suspended') then return true end
    end
    if #page < 100 then return false end
    from = from + 100
  end
end

-- lost reports whether somebody, as far as this change goes, is a holder no more of what
-- grants says, and nobody is after it.
local function lost(grants)
  -- makes says of a role or group whether it makes its members holders, with side =
  -- 'before' and 'after'.
  local function makes(kind, id, side)
    local e = entities[kind][id]
    return grants(e and e[side].permissions or not e and permissions_of(kind, id))
  end
  -- holds reports whether a member with these fields is a holder, by a role or group
  -- that lacking does not have. One who is suspended is none.
  local function holds(fields, side, lacking)
    if fields.suspended then return false end
    if lacking.suspended then lacking = {} end
    for field, value in pairs(fields) do
      local source, id = source_of(field, value)
      if source and lacking[field] ~= value and makes(source, id, side) then return true end
    end
    return false
  end
  local function loses()
    for kind in pairs(member_indexes) do
      for _, e in ipairs(loaded[kind]) do
        if grants(e.before.permissions) and not grants(e.after.permissions) and has_active(kind, e.id, true) then
          return true
        end
      end
    end
    for _, e in ipairs(loaded.team_member) do
      if e.after ~= e.before and holds(e.before, 'before', e.after) then return true end
    end
    return false
  end
  local function is_held()
    for _, e in ipairs(loaded.team_member) do
      if holds(e.after, 'after', {}) then return true end
    end
    -- Of the members that the change has not read one is enough.
    local function by_others(kind, id) return has_active(kind, id, false) end
    for kind in pairs(member_indexes) do
      for _, e in ipairs(loaded[kind]) do
        if grants(e.after.permissions) and by_others(kind, e.id) then return true end
      end
    end
    for _, name in ipairs(redis.call('ZRANGE', prefix .. 'user-admins', '0', '-1')) do
      local colon = string.find(name, ':', 1, true)
      local kind, id = string.sub(name, 1, colon - 1), string.sub(name, colon + 1)
      if not entities[kind][id] and grants(permissions_of(kind, id)) and by_others(kind, id) then return true end
    end
    return false
  end
  return loses() and not is_held()
end

if lost(grants_all) then return {'refused', 0, 'last_of_all', '', -1} end
if lost(grants_users) then return {'refused', 0, 'last_holder', '', -1} end

-- The other side of a field: the sorted set that holds the ids of the entities
-- which have the field with this value.
local function other_side(kind, field, value)
  if not value then return nil end
  for _, list in ipairs(lists[kind]) do
    if string.sub(field, 1, #list.edge) == list.edge then return prefix .. list.index .. string.sub(field, #list.edge + 1) end
  end
  for _, single in ipairs(singles[kind]) do
    if single.name == field and single.index and (value ~= '' or single.always) then return prefix .. single.index .. value end
  end
end

-- The plan: every command that makes Redis hold what the edits left, from the
-- difference between before and after of each entity. An image is that difference.
-- No command gets long: a list that is unpacked has its limit.
--
-- The nonce is made of the caller's and of the nonce before, and so of the whole
-- history: the same script, sent again by a client that lost the answer to another
-- master that lost the change, makes another revision.
local revision = string.format('%.0f', tonumber(head[1]) + 1)
local nonce = ARGV[2] .. string.sub(redis.sha1hex(head[2] .. ':' .. ARGV[2]), 1, 6)
local token = revision .. '.' .. nonce
local plan, images, altered = {}, {}, {}
local schema = head[3] -- that of the newest field that any of the facts has, or had

-- extend appends to the last command for a key, or a new one.
local function extend(commands, name, key, a, b)
  local command = commands[key]
  if not command or #command > 500 then
    command = {name, key}
    commands[key] = command
    plan[#plan + 1] = command
  end
  command[#command + 1] = a
  command[#command + 1] = b
end

local joins, leaves = {}, {} -- by index
local function link(key, id) extend(joins, 'ZADD', key, '0', id) end
local function unlink(key, id) extend(leaves, 'ZREM', key, id) end

local function plan_entity(e)
  local kind, before, after = e.kind, e.before, e.after
  local left, joined, gone = {}, {}, {}
  for field, value in pairs(before) do
    local new = after[field]
    if new ~= value then
      left[#left + 1] = field
      left[#left + 1] = value
      local side = other_side(kind, field, value)
      if side and side ~= other_side(kind, field, new) then unlink(side, e.id) end
      if not new and e.exists then extend(gone, 'HDEL', e.key, field) end
    end
  end
  for field, value in pairs(after) do
    local old = before[field]
    if old ~= value then
      joined[#joined + 1] = field
      joined[#joined + 1] = value
      local side = other_side(kind, field, value)
      if side and side ~= other_side(kind, field, old) then link(side, e.id) end
    end
  end
  if #left == 0 and #joined == 0 and not e.stale then return end

  altered[#altered + 1] = e
  for _, single in ipairs(singles[kind]) do
    if single.since and after[single.name] and single.since > tonumber(schema) then schema = string.format('%d', single.since) end
  end
  images[#images + 1] = kind .. ':' .. e.id .. '\1' .. (e.existed and '1' or '0') .. (e.exists and '1' or '0') ..
    '\1' .. joined_by(left, '\0') .. '\1' .. joined_by(joined, '\0')
  if e.existed ~= e.exists then (e.exists and link or unlink)(prefix .. 'ids:' .. kind, e.id) end
  if member_indexes[kind] and grants_users(before.permissions) ~= grants_users(after.permissions) then
    (grants_users(after.permissions) and link or unlink)(prefix .. 'user-admins', kind .. ':' .. e.id)
  end
  if not e.exists then
    plan[#plan + 1] = {'DEL', e.key}
    return
  end
  local write = {}
  extend(write, 'HSET', e.key, 'rev', token)
  for i = 1, #joined, 2 do extend(write, 'HSET', e.key, joined[i], joined[i + 1]) end
end

for _, kind in ipairs(kinds) do
  for _, e in ipairs(loaded[kind]) do
    if e.after ~= e.before or e.stale then plan_entity(e) end
  end
end
if #images == 0 then
  if dry then return {'altered', head[1], head[2], 0} end
  -- That nothing changes is said only by a server that could have changed it: a replica,
  -- or a master that may not write, is behind and refuses this command, which does nothing.
  redis.call('HDEL', KEYS[1], '')
  return {'ok', head[1], head[2], 0}
end
if #images > limit then return {'refused', 0, 'too_many', '', -1} end

-- A command that fails here would leave half a change behind, and the only ones
-- that can are those on a key of the wrong type.
local function is(key, expected)
  local found = redis.call('TYPE', key).ok
  return found == 'none' or found == expected
end
if not is(prefix .. 'changes', 'stream') then return {'damaged'} end
for key in pairs(joins) do
  if not is(key, 'zset') then return {'damaged'} end
end
for key in pairs(leaves) do
  if not joins[key] and not is(key, 'zset') then return {'damaged'} end
end

if dry then
  local function text_of(fields, rev)
    local hash = {'rev', rev}
    for field, value in pairs(fields) do
      hash[#hash + 1] = field
      hash[#hash + 1] = value
    end
    return joined_by(hash, '\0')
  end
  local reply = {'altered', head[1], head[2], 1}
  for _, e in ipairs(altered) do
    local n = #reply
    reply[n + 1], reply[n + 2] = e.kind, e.id
    reply[n + 3] = e.existed and text_of(e.before, e.rev or '') or ''
    reply[n + 4] = e.exists and text_of(e.after, e.existed and e.rev or head[1] .. '.' .. head[2]) or ''
  end
  return reply
end

-- How much of the stream has to go for this entry. Each change drops a few at
-- most, so that one which finds a much lower limit does not take long.
local stream, text = prefix .. 'changes', joined_by(images, '\2')
local entries = redis.call('XLEN', stream)
local log = #text + (entries > 0 and tonumber(head[4]) or 0)
local from, page = '0', 1
local max_entries, max_bytes, dropped = tonumber(ARGV[4]), tonumber(ARGV[5]), 0
while entries > 0 and dropped < 1000 and (entries >= max_entries or log > max_bytes) do
  for _, entry in ipairs(redis.call('XRANGE', stream, from, '+', 'COUNT', page)) do
    if entries < max_entries and log <= max_bytes then break end
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 'images' then log = math.max(log - #entry[2][i + 1], #text) end
    end
    entries, dropped = entries - 1, dropped + 1
    from = string.match(entry[1], '^%d+') .. '-1' -- ids end in -0
  end
  page = math.min(2 * page, 64)
end

-- The entry first, which is refused to a user who may not write it, and where the
-- stream is ahead of the head: then nothing is written.
local time = redis.call('TIME')
local added = redis.pcall('XADD', stream, 'MINID', '=', from, revision .. '-0',
  'prev', head[2], 'nonce', nonce, 'at', string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)),
  'by', ARGV[6], 'via', ARGV[7], 'req', ARGV[8], 'images', text)
if type(added) == 'table' and added.err then
  if string.find(added.err, 'equal or smaller', 1, true) then return {'damaged'} end
  return added
end
-- Then the revision: whatever a command that Redis refuses leaves behind, for a
-- user who may not give it, is not taken for the revision of before.
redis.call('HSET', KEYS[1], 'rev', revision, 'nonce', nonce, 'schema', schema, 'log', string.format('%.0f', log))
-- What joins an index goes before what leaves one: an index that is empty for a
-- moment is a key that is gone, and while the slot is moved to another node of a
-- cluster this one may not make it anew. Every other key was looked at above.
for _, command in ipairs(plan) do
  if command[1] == 'ZADD' then redis.call(unpack(command)) end
end
for _, command in ipairs(plan) do
  if command[1] ~= 'ZADD' then redis.call(unpack(command)) end
end
return {'ok', revision, nonce, 1}
