-- Reads a page of the names of the keys of one organisation.
--
-- KEYS[1]  the head
-- ARGV[1]  the cursor
-- ARGV[2]  about the number of keys that are looked at
--
-- Returns the next cursor and the names. The name of an organisation is encoded, so
-- that no character of the prefix has a meaning in a pattern.

return redis.call('SCAN', ARGV[1], 'MATCH', string.sub(KEYS[1], 1, -5) .. '*', 'COUNT', ARGV[2])
