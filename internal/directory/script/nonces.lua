-- Looks up the nonces of revisions, as one snapshot.
--
-- KEYS[1]  the head
-- ARGV[…]  the counts of the revisions
--
-- Returns for each its nonce, '' if the stream does not hold it.

local changes = string.sub(KEYS[1], 1, -5) .. 'changes'

local nonces = {}
for i = 1, #ARGV do
  local id = ARGV[i] .. '-0'
  local entry = redis.call('XRANGE', changes, id, id)[1]
  nonces[i] = ''
  if entry then
    for j = 1, #entry[2], 2 do
      if entry[2][j] == 'nonce' then nonces[i] = entry[2][j + 1] end
    end
  end
end
return nonces
