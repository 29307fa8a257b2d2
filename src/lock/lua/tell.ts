/**
 * Tells the process that listens to a channel of a grant, or only to look (the message is the id alone), and whether it listens
 * on this server. A message reaches the replicas too: who still listens to one of those, because another server has just taken
 * over, would believe a grant that goes to the next. He is told to look instead, by which he learns where to listen. A cluster
 * passes every message on, so there the listeners are counted first; elsewhere that of a grant is kept from the replicas, which is
 * one command less. An error must not leave it at that, or what is written behind it would be kept from them too: it is raised by
 * the second attempt.
 */
export const TELL = `
local function tell(channel, id, message)
  if string.sub(channel, -1) == '}' then
    local told = redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] > 0
    redis.call('SPUBLISH', channel, told and message or id)
    return told
  end
  redis.set_repl(redis.REPL_NONE)
  local heard = redis.pcall('PUBLISH', channel, message)
  redis.set_repl(redis.REPL_ALL)
  if heard == 0 or type(heard) == 'table' then redis.call('PUBLISH', channel, id) end
  return heard ~= 0
end
`;
