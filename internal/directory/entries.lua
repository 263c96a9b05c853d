-- Reads entries of the stream of changes of one organisation.
--
-- KEYS[1]     the head
-- ARGV[1, 2]  the ids of the first and of the last entry that are asked for
-- ARGV[3]     the most entries
--
-- Returns them, each as id and fields.

return redis.call('XRANGE', string.sub(KEYS[1], 1, -5) .. 'changes', ARGV[1], ARGV[2], 'COUNT', ARGV[3])
