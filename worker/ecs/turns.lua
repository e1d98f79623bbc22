-- Take a turn at one of Amazon's quotas, or a position in its queue. worker/ecs/turns.py has the same rules for one process.
--
-- Organizations take turns: each has one turn in a round while it has waiters. Within an organization waiters are ordered
-- by position, a number that grows with each waiter, by more for less urgent calls. No command here takes longer than the
-- logarithm of the number of waiters. All keys have the same hash tag, so they lie on one node of a cluster, also the
-- keys of the organizations' queues, whose names are made here.
--
-- Keys: the bucket; the workers, by when they were last seen; the waiters, by when they are expected; the turns, by round;
-- each organization's round after its last turn; the next position of each priority and organization; the urgent waiters.

local bucket, workers, expected, turns, next_rounds, next_positions, urgents = unpack(KEYS)
local rate, burst, reserved, max_sleep, max_lead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local organization, charger, priority, cost, urgent = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10] == '1'
local worker, worker_seen_s, abandoned_after_s = ARGV[11], tonumber(ARGV[12]), tonumber(ARGV[13])
local observe_share, observe_max_sleep = tonumber(ARGV[14]), tonumber(ARGV[15])
local keep_s = 7200

-- Redis's own clock, so that the clocks of the workers do not matter.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function queue_of(name) return turns .. ':' .. name end
local function turn(round, name) return string.format('%d', round) .. ' ' .. name end
local function score(key, member) return tonumber(redis.call('ZSCORE', key, member)) end
local function lowest(key) return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]) end

-- Empty all queues: callers that still wait come back and are queued again.
local function reset()
  for _, member in ipairs(redis.call('ZRANGE', expected, 0, -1)) do redis.call('DEL', queue_of(string.match(member, '^%S+ (.*)$'))) end
  for _, name in ipairs(redis.call('ZRANGE', next_rounds, 0, -1)) do redis.call('DEL', queue_of(name)) end
  redis.call('DEL', expected, turns, next_rounds, next_positions, urgents)
end

-- A waiter that is served uses its organization's first turn; one that is abandoned gives back the last.
local function remove(name, waiter, served)
  local queue = queue_of(name)
  local waiting = redis.call('ZCARD', queue)
  if redis.call('ZREM', queue, waiter) == 1 then
    local next_round = score(next_rounds, name)
    if served then
      redis.call('ZREM', turns, turn(next_round - waiting, name))
    else
      redis.call('ZREM', turns, turn(next_round - 1, name))
      redis.call('ZADD', next_rounds, next_round - 1, name)
    end
    if waiting == 1 then redis.call('HDEL', next_positions, '0 ' .. name, '1 ' .. name, '2 ' .. name, '3 ' .. name, '4 ' .. name) end
  end
  redis.call('ZREM', expected, waiter .. ' ' .. name)
  redis.call('SREM', urgents, waiter)
end

local function take_position(queue)
  local field = priority .. ' ' .. organization
  local position = math.max(math.floor(lowest(queue) or 0), tonumber(redis.call('HGET', next_positions, field)) or 0)
  redis.call('HSET', next_positions, field, position + cost)
  return position + priority / 1000 -- of two at one position, the more urgent goes first
end

local function enqueue(queue)
  local position = score(queue, charger)
  if position and not score(next_rounds, organization) then
    redis.call('DEL', queue) -- left over from before a reset
    position = nil
  end
  if not position then
    local current_round = lowest(turns) or 0
    redis.call('ZREMRANGEBYSCORE', next_rounds, '-inf', current_round)
    local round = math.max(current_round, score(next_rounds, organization) or 0)
    redis.call('ZADD', turns, round, turn(round, organization))
    redis.call('ZADD', next_rounds, round + 1, organization)
    redis.call('ZADD', queue, take_position(queue), charger)
  elseif priority < math.floor((position % 1) * 1000 + 0.5) then
    redis.call('ZREM', queue, charger) -- a more urgent command was requested since
    redis.call('ZADD', queue, take_position(queue), charger)
  end
  if urgent then redis.call('SADD', urgents, charger) end
end

local state = redis.call('HMGET', bucket, 'tokens', 'at', 'observed')
local tokens, refilled_at, observed_at = tonumber(state[1]) or burst, tonumber(state[2]) or now, tonumber(state[3])
if observed_at and observed_at > now + abandoned_after_s then observed_at = nil end

-- Each waiter has one turn, and its organization a next round: unless Redis was full and evicted a key.
-- After a clock was put back, abandoned waiters would keep their positions for as long.
local waiting = redis.call('ZCARD', expected)
local whole = waiting == redis.call('ZCARD', turns) and (waiting == 0 or redis.call('EXISTS', next_rounds) == 1)
if not whole or refilled_at > now + abandoned_after_s then reset() end

redis.call('ZADD', workers, now, worker)
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now - worker_seen_s)
for _, member in ipairs(redis.call('ZRANGEBYSCORE', expected, '-inf', now - abandoned_after_s, 'LIMIT', 0, 100)) do
  local waiter, name = string.match(member, '^(%S+) (.*)$')
  remove(name, waiter, false)
end
if redis.call('ZCARD', expected) == 0 then redis.call('DEL', turns, next_rounds, next_positions, urgents) end -- no waiters, no lead

tokens = math.min(burst, tokens + math.max(0, now - refilled_at) * rate)

local ahead
if charger == '' then -- the observer
  ahead = redis.call('ZCARD', turns) + reserved
  -- While commands keep coming nothing is left over, and without observing none of them would ever succeed.
  if not observed_at or now - observed_at + 0.001 >= 1 / (rate * observe_share) then ahead, max_sleep = 0, observe_max_sleep end
else
  local queue = queue_of(organization)
  enqueue(queue)
  redis.call('EXPIRE', queue, keep_s)
  local round = score(next_rounds, organization) - redis.call('ZCARD', queue) + redis.call('ZRANK', queue, charger)
  ahead = redis.call('ZRANK', turns, turn(round, organization)) or redis.call('ZCARD', turns)
  if redis.call('SCARD', urgents) - redis.call('SISMEMBER', urgents, charger) == 0 then
    if not urgent then
      ahead = ahead + reserved
    elseif round - lowest(turns) <= max_lead then
      ahead = 0
    end
  end
end

-- A granted turn takes its token at once, even if the call comes after a short sleep: the tokens may fall below zero,
-- which delays the next turn.
local wait = math.max(0, (ahead + 1 - tokens) / rate)
local granted = 0
if wait <= max_sleep + 0.001 then -- a caller that comes back at its time is not refused for a rounding error
  granted = 1
  tokens = tokens - 1
  if charger ~= '' then remove(organization, charger, true) else redis.call('HSET', bucket, 'observed', string.format('%.6f', now)) end
elseif charger ~= '' then
  redis.call('ZADD', expected, now + wait, charger .. ' ' .. organization)
end
redis.call('HSET', bucket, 'tokens', tostring(tokens), 'at', tostring(now))
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, keep_s) end
return {granted, tostring(wait), redis.call('ZCARD', workers)}
