-- The second part of change.lua: what refers to what, and deleting it.

local function refers(fields, by, id)
  if by.field and fields[by.field] == id then return true end
  for _, edge in ipairs(by.edges) do
    if fields[edge .. id] then return true end
  end
  return false
end

-- indexed returns how many ids are in the indexes, and so many of them at least.
local function indexed(names, id, most)
  local key = prefix .. names[1] .. id
  if #names == 1 then
    return redis.call('ZCARD', key), redis.call('ZRANGE', key, '0', string.format('%d', most - 1))
  end
  local ids, seen = {}, {}
  for _, name in ipairs(names) do
    for _, member in ipairs(redis.call('ZRANGE', prefix .. name .. id, '0', '-1')) do
      if not seen[member] then ids[#ids + 1] = member end
      seen[member] = true
    end
  end
  return #ids, ids
end

-- referrers returns how many entities refer to one now, with the edits so far, and
-- the first of them as {kind, id, …}.
local function referrers(kind, id, most)
  local total, list = 0, {}
  local function add(kind, id)
    if #list >= 2 * most then return end
    list[#list + 1] = kind
    list[#list + 1] = id
  end
  for _, by in ipairs(referring[kind]) do
    local count, ids = indexed(by.indexes, id, most + #loaded[by.from])
    total = total + count
    for _, member in ipairs(ids) do
      if not entities[by.from][member] then add(by.from, member) end
    end
    for _, e in ipairs(loaded[by.from]) do
      local now = refers(e.after, by, id)
      if now then add(by.from, e.id) end
      if now ~= refers(e.before, by, id) then total = total + (now and 1 or -1) end
    end
  end
  return total, list
end

local function remove_booking(e)
  care_for(e.id, e.after, false)
  remove(e)
end

-- release ends every reference to an entity, which may end what refers to it.
local reached = {count = 0}
local function release(kind, id)
  local total, list = referrers(kind, id, limit)
  if total > limit then return 'too_many', '', -1 end
  for i = 1, #list, 2 do
    local e = entity(list[i], list[i + 1])
    if not reached[e.key] then
      reached[e.key] = true
      reached.count = reached.count + 1
      if reached.count > limit then return 'too_many', '', -1 end
    end
    if e.kind == 'booking' then
      remove_booking(e)
    elseif e.kind == 'patient' and kind == 'patient_group' then
      remove(e)
      local reason, field, item = release('patient', e.id)
      if reason then return reason, field, item end
    else
      local after = fields_of(e)
      for _, by in ipairs(referring[kind]) do
        if by.from == e.kind then
          if by.field and not by.always then after[by.field] = '' end
          for _, edge in ipairs(by.edges) do after[edge .. id] = nil end
        end
      end
      replace(e, after)
    end
  end
end

-- kind, id, cascade
function edit.delete()
  local e, cascade = entity(take(), take()), take() == '1'
  if not e.exists then return end
  if e.kind == 'booking' then return remove_booking(e) end
  if not cascade then
    local total, list = referrers(e.kind, e.id, 100)
    if total > 0 then return 'in_use', 'key', -1, total, list end
  end
  remove(e)
  return release(e.kind, e.id)
end
