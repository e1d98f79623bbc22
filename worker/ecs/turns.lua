-- Somebody asks for a turn at one of Amazon's quotas. worker/ecs/turns.py has the same rules in Python, for one process.
--
-- Organizations take turns: each has one turn in a round as long as it waits. Within an organization the waiters are
-- ordered by a number that grows with each place, by more for what nobody waits for. Nothing here takes longer than
-- the logarithm of how many wait. All keys have the same hash tag, so they lie on one node of a cluster, also those
-- of the organizations, whose names are made here.

local bucket, workers, due, slots, ends, places, urgents = unpack(KEYS)
local rate, burst, reserve, patience, lead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local organization, who, priority, cost, urgent = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10] == '1'
local worker, worker_seen_s, lost_after_s = ARGV[11], tonumber(ARGV[12]), tonumber(ARGV[13])
local observe_share, observe_patience = tonumber(ARGV[14]), tonumber(ARGV[15])
local keep_s = 7200

-- The clock is Redis's own, so that the clocks of the workers do not matter.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function queue_of(name) return slots .. ':' .. name end
local function slot(turn, name) return string.format('%d', turn) .. ' ' .. name end
local function score(key, member) return tonumber(redis.call('ZSCORE', key, member)) end
local function lowest(key) return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]) end

-- Everybody begins anew: who still waits comes back and joins again.
local function forget_all()
  for _, member in ipairs(redis.call('ZRANGE', due, 0, -1)) do redis.call('DEL', queue_of(string.match(member, '^%S+ (.*)$'))) end
  for _, name in ipairs(redis.call('ZRANGE', ends, 0, -1)) do redis.call('DEL', queue_of(name)) end
  redis.call('DEL', due, slots, ends, places, urgents)
end

-- Who leaves because it is served takes the organization's first turn with it; who is lost, the last one.
local function leave(name, waiter, served)
  local queue = queue_of(name)
  local waiting = redis.call('ZCARD', queue)
  if redis.call('ZREM', queue, waiter) == 1 then
    local last = score(ends, name)
    if served then
      redis.call('ZREM', slots, slot(last - waiting, name))
    else
      redis.call('ZREM', slots, slot(last - 1, name))
      redis.call('ZADD', ends, last - 1, name)
    end
    if waiting == 1 then redis.call('HDEL', places, '0 ' .. name, '1 ' .. name, '2 ' .. name, '3 ' .. name) end
  end
  redis.call('ZREM', due, waiter .. ' ' .. name)
  redis.call('SREM', urgents, waiter)
end

local function next_place(queue)
  local field = priority .. ' ' .. organization
  local place = math.max(math.floor(lowest(queue) or 0), tonumber(redis.call('HGET', places, field)) or 0)
  redis.call('HSET', places, field, place + cost)
  return place + priority / 1000 -- of two at one place, the more urgent first
end

local function join(queue)
  local place = score(queue, who)
  if place and not score(ends, organization) then
    redis.call('DEL', queue) -- left over from before all began anew
    place = nil
  end
  if not place then
    local round = lowest(slots) or 0
    redis.call('ZREMRANGEBYSCORE', ends, '-inf', round)
    local turn = math.max(round, score(ends, organization) or 0)
    redis.call('ZADD', slots, turn, slot(turn, organization))
    redis.call('ZADD', ends, turn + 1, organization)
    redis.call('ZADD', queue, next_place(queue), who)
  elseif priority < math.floor((place % 1) * 1000 + 0.5) then
    redis.call('ZREM', queue, who) -- something more urgent was asked of the charger since
    redis.call('ZADD', queue, next_place(queue), who)
  end
  if urgent then redis.call('SADD', urgents, who) end
end

local state = redis.call('HMGET', bucket, 'tokens', 'at', 'observed')
local tokens, at, observed = tonumber(state[1]) or burst, tonumber(state[2]) or now, tonumber(state[3])
if observed and observed > now + lost_after_s then observed = nil end

-- Each who waits has one slot, and its organization an end. It is not so after a Redis that is full evicted a key.
-- A clock that was put back would keep the places of those who are lost for as long.
local waiting = redis.call('ZCARD', due)
local whole = waiting == redis.call('ZCARD', slots) and (waiting == 0 or redis.call('EXISTS', ends) == 1)
if not whole or at > now + lost_after_s then forget_all() end

redis.call('ZADD', workers, now, worker)
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now - worker_seen_s)
for _, member in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now - lost_after_s, 'LIMIT', 0, 100)) do
  local waiter, name = string.match(member, '^(%S+) (.*)$')
  leave(name, waiter, false)
end
if redis.call('ZCARD', due) == 0 then redis.call('DEL', slots, ends, places, urgents) end -- nobody waits, nobody leads

tokens = math.min(burst, tokens + math.max(0, now - at) * rate)

local ahead
if who == '' then
  ahead = redis.call('ZCARD', slots) + reserve
  -- Commands that come without end leave nothing over, and none of them would ever be seen to succeed.
  if not observed or now - observed + 0.001 >= 1 / (rate * observe_share) then ahead, patience = 0, observe_patience end
else
  local queue = queue_of(organization)
  join(queue)
  redis.call('EXPIRE', queue, keep_s)
  local turn = score(ends, organization) - redis.call('ZCARD', queue) + redis.call('ZRANK', queue, who)
  ahead = redis.call('ZRANK', slots, slot(turn, organization)) or redis.call('ZCARD', slots)
  if redis.call('SCARD', urgents) - redis.call('SISMEMBER', urgents, who) == 0 then
    if not urgent then
      ahead = ahead + reserve
    elseif turn - lowest(slots) <= lead then
      ahead = 0
    end
  end
end

-- A granted turn takes its token at once, also when it comes after a short sleep: the tokens are then below zero,
-- and the next turn later.
local wait = math.max(0, (ahead + 1 - tokens) / rate)
local granted = 0
if wait <= patience + 0.001 then -- who comes back at its time is not sent away for a rounding error
  granted = 1
  tokens = tokens - 1
  if who ~= '' then leave(organization, who, true) else redis.call('HSET', bucket, 'observed', string.format('%.6f', now)) end
elseif who ~= '' then
  redis.call('ZADD', due, now + wait, who .. ' ' .. organization)
end
redis.call('HSET', bucket, 'tokens', tostring(tokens), 'at', tostring(now))
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, keep_s) end
return {granted, tostring(wait), redis.call('ZCARD', workers)}
