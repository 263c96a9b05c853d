-- What several scripts begin with: Redis has no way to share it.

-- joined_by joins a list, a long one by parts: the embedded store cannot otherwise.
local function joined_by(list, separator)
  if #list <= 1000 then return table.concat(list, separator) end
  local parts = {}
  for i = 1, #list, 1000 do
    parts[#parts + 1] = table.concat(list, separator, i, math.min(i + 999, #list))
  end
  return table.concat(parts, separator)
end

-- text_of returns a hash as one text: neither a field nor a value has a zero byte.
local function text_of(hash) return joined_by(hash, '\0') end


-- work_of says how much work the reading of a hash is, in about half microseconds: its
-- key, its fields and its bytes. Redis answers nobody else meanwhile, so that a script
-- ends when it has done as much as it may, and tells how far it came.
local function work_of(hash, text) return 10 + #hash / 2 + #text / 64 end

-- source_of returns the kind and id of the role or group by which a field of a team
-- member grants permissions (P2), and nothing for any other field.
local function source_of(field, value)
  if field == 'role' then
    if value ~= '' then return 'role', value end
  elseif string.sub(field, 1, 2) == 'g:' then
    return 'group', string.sub(field, 3)
  end
end
