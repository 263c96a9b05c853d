-- What every script begins with: nothing is an answer but a master's.
--
-- A replica, and a master that was demoted, answer as readily as a master does, from
-- facts that may be of any age. INFO says in the same step in which the facts are
-- read what the server is; ROLE, which is shorter, is not let into scripts. A replica
-- that lets others write is none the more a master. READONLY is the word for which
-- clients close the connection and look for the server anew.

do
  local replication = redis.call('INFO', 'replication')
  if not string.find(replication, '\nrole:master\r', 1, true) then
    return redis.error_reply('READONLY replica')
  end
  -- Redis counts replicas in good state if min-replicas-to-write is set.
  local good = string.match(replication, '\nmin_slaves_good_slaves:(%d+)\r') or '0'
  if tonumber(good) < least_replicas then return redis.error_reply('READONLY replicas') end
end

