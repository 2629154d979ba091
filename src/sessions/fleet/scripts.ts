/**
 * What Redis does for the sessions of a fleet, each as one step. All keys are in one slot of a cluster, so a script may derive
 * further ones from the prefix.
 *
 * - `s:<id>`: hash of a session: state, max, opened, timeout, active, cause, ended, over. Times in ms since 1970, by Redis’ clock.
 * - `u:<id>`: set of its users, as keyed hashes.
 * - `p:<id>`: hash of its parts, as JSON: what each server did in it.
 * - `open`: open sessions by the time at which they are idle for too long.
 * - `servers`, `seen`: what each server says of itself, and when it last did.
 */

/** ARGV[1] is the prefix of all keys in every script. */
const COMMON = `
local P = ARGV[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function num(x) return string.format('%.0f', x) end
local function expire(id, ms)
  for _, kind in ipairs({'s:', 'u:', 'p:'}) do redis.call('PEXPIRE', P .. kind .. id, num(ms)) end
end
local function finish(id, cause, keep)
  redis.call('HSET', P .. 's:' .. id, 'state', 'ended', 'cause', cause, 'ended', num(now))
  redis.call('ZREM', P .. 'open', id)
  expire(id, keep)
end
local function touch(id, idle, keep)
  local s = P .. 's:' .. id
  local timeout = tonumber(redis.call('HGET', s, 'timeout'))
  local active = math.max(tonumber(redis.call('HGET', s, 'active') or '0'), now - idle)
  redis.call('HSET', s, 'active', num(active))
  redis.call('ZADD', P .. 'open', num(active + timeout), id)
  expire(id, timeout + keep)
  return now - active
end
local function describe(id)
  local of = redis.call('HMGET', P .. 's:' .. id, 'state', 'cause', 'ended', 'max', 'opened', 'timeout', 'over')
  if not of[1] then return {} end
  local out = {of[1], of[2] or '', of[3] or '0', of[4], of[5], of[6], of[7] or '0', num(redis.call('SCARD', P .. 'u:' .. id))}
  local parts = redis.call('HGETALL', P .. 'p:' .. id)
  for i = 1, #parts, 2 do
    local server = string.match(parts[i], '^(.*):')
    local seen = redis.call('ZSCORE', P .. 'seen', server)
    out[#out + 1] = seen and num(now - seen) or '-1'
    out[#out + 1] = parts[i + 1]
  end
  return out
end
`;

/**
 * Seats a user. ARGV: prefix, keep ms, session, user.
 *
 * @returns `unknown`; `ended`, cause; `full`, users, max; `open`, users, over, max, opened, timeout, `1` if the user is new
 */
export const JOIN = `${COMMON}
local keep, id, user = tonumber(ARGV[2]), ARGV[3], ARGV[4]
local of = redis.call('HMGET', P .. 's:' .. id, 'state', 'cause', 'max', 'over', 'opened', 'timeout')
if not of[1] then return {'unknown'} end
if of[1] == 'ended' then return {'ended', of[2] or ''} end
local u = P .. 'u:' .. id
local isNew = redis.call('SISMEMBER', u, user) == 0
if isNew then
  local users = redis.call('SCARD', u)
  if users >= tonumber(of[3]) then return {'full', num(users), of[3]} end
  redis.call('SADD', u, user)
end
touch(id, 0, keep)
return {'open', num(redis.call('SCARD', u)), of[4] or '0', of[3], of[5], of[6], isNew and '1' or '0'}`;

/** Takes the seat of a user back. ARGV: prefix, session, user. */
export const UNSEAT = `${COMMON}
return redis.call('SREM', P .. 'u:' .. ARGV[2], ARGV[3])`;

/**
 * Takes what servers know of sessions. ARGV: prefix, keep ms, JSON list of reports. A session that Redis does not have is made anew
 * from a report that has its users: Redis may have been restarted, or have evicted it. Users are never refused here: they were
 * seated while Redis did not answer. A session that was ended as idle goes on if a server has used it meanwhile: that one was cut off.
 *
 * @returns for each report `missing`; `ended`, cause; or `open`, users, over, how much over rose by this report, idle ms
 */
export const REPORT = `${COMMON}
local keep = tonumber(ARGV[2])
local out = {}
for _, of in ipairs(cjson.decode(ARGV[3])) do
  local s, u, p = P .. 's:' .. of.id, P .. 'u:' .. of.id, P .. 'p:' .. of.id
  local state = redis.call('HGET', s, 'state')
  if not state and not of.users then
    out[#out + 1] = {'missing'}
  else
    if not state then
      redis.call('HSET', s, 'state', 'open', 'max', num(of.max), 'opened', num(of.opened), 'timeout', num(of.timeout))
    end
    if of.part then redis.call('HSET', p, of.key, of.part) end
    if state == 'ended' then
      local was = redis.call('HMGET', s, 'cause', 'timeout')
      if was[1] == 'idle' and of.idle < tonumber(was[2]) then
        state = 'open'
        redis.call('HSET', s, 'state', state)
        redis.call('HDEL', s, 'cause', 'ended')
      end
    end
    if state == 'ended' then
      expire(of.id, keep)
      out[#out + 1] = {'ended', redis.call('HGET', s, 'cause') or ''}
    else
      for _, user in ipairs(of.users or {}) do redis.call('SADD', u, user) end
      local users = redis.call('SCARD', u)
      local over = math.max(0, users - tonumber(redis.call('HGET', s, 'max')))
      local known = tonumber(redis.call('HGET', s, 'over') or '0')
      if over > known then redis.call('HSET', s, 'over', num(over)) end
      local idle = touch(of.id, of.idle, keep)
      out[#out + 1] = {'open', num(users), num(math.max(over, known)), num(math.max(0, over - known)), num(idle)}
    end
  end
end
return out`;

/**
 * Ends a session for all servers. ARGV: prefix, keep ms, session, cause, then max, opened, timeout if it is to be known as ended even
 * where Redis does not have it.
 *
 * @returns `unknown`, or `ended`, cause
 */
export const END = `${COMMON}
local keep, id = tonumber(ARGV[2]), ARGV[3]
local s = P .. 's:' .. id
local state = redis.call('HGET', s, 'state')
if not state then
  if not ARGV[5] then return {'unknown'} end
  redis.call('HSET', s, 'max', ARGV[5], 'opened', ARGV[6], 'timeout', ARGV[7])
end
if state ~= 'ended' then finish(id, ARGV[4], keep) end
return {'ended', redis.call('HGET', s, 'cause') or ''}`;

/**
 * Keeps what a server did in a session that it has ended its part of. ARGV: prefix, keep ms, session, key of the part, its JSON,
 * server, `1` if the session ends with its last server.
 *
 * @returns the session, see {@link DESCRIBE}
 */
export const RELEASE = `${COMMON}
local keep, id, server = tonumber(ARGV[2]), ARGV[3], ARGV[6]
local s = P .. 's:' .. id
local state = redis.call('HGET', s, 'state')
if not state then return {} end
redis.call('HSET', P .. 'p:' .. id, ARGV[4], ARGV[5])
if state == 'open' and ARGV[7] == '1' then
  local others = redis.call('ZCOUNT', P .. 'seen', num(now - 5000), '+inf')
  if redis.call('ZSCORE', P .. 'seen', server) then others = others - 1 end
  if others <= 0 then finish(id, 'server stopped', keep) end
elseif state == 'ended' then
  expire(id, keep)
end
return describe(id)`;

/**
 * ARGV: prefix, session.
 *
 * @returns nothing, or state, cause, ended, max, opened, timeout, over, users, then for each part the ms since its server was seen
 *    (-1: it is gone) and its JSON
 */
export const DESCRIBE = `${COMMON}
return describe(ARGV[2])`;

/**
 * A server’s heartbeat; ends sessions that all servers leave idle. ARGV: prefix, keep ms, server, its JSON, ms after which a silent
 * server is forgotten, name of the server without its run on its first heartbeat, else empty.
 *
 * After a time without any heartbeat nothing is ended for some seconds: Redis was away, and does not know who was active.
 *
 * @returns the sessions that it ended
 */
export const BEAT = `${COMMON}
local keep, server = tonumber(ARGV[2]), ARGV[3]
if ARGV[6] ~= '' then
  for _, other in ipairs(redis.call('HKEYS', P .. 'servers')) do
    if string.sub(other, 1, #ARGV[6]) == ARGV[6] and other ~= server then
      redis.call('HDEL', P .. 'servers', other)
      redis.call('ZREM', P .. 'seen', other)
    end
  end
end
redis.call('HSET', P .. 'servers', server, ARGV[4])
redis.call('ZADD', P .. 'seen', num(now), server)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', P .. 'seen', '-inf', num(now - ARGV[5]))) do
  redis.call('HDEL', P .. 'servers', gone)
  redis.call('ZREM', P .. 'seen', gone)
end
local clock = redis.call('GET', P .. 'clock')
redis.call('SET', P .. 'clock', num(now))
if not clock or now - clock > 3000 then redis.call('SET', P .. 'hold', '1', 'PX', '5000') end
local ended = {}
if redis.call('EXISTS', P .. 'hold') == 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'open', '-inf', num(now), 'LIMIT', 0, 100)) do
    redis.call('ZREM', P .. 'open', id)
    if redis.call('HGET', P .. 's:' .. id, 'state') == 'open' then
      finish(id, 'idle', keep)
      ended[#ended + 1] = id
    end
  end
end
return ended`;

/** ARGV: prefix. @returns for each server its JSON and the ms since its last heartbeat */
export const MEMBERS = `${COMMON}
local out = {}
local seen = redis.call('ZRANGE', P .. 'seen', 0, -1, 'WITHSCORES')
for i = 1, #seen, 2 do
  local told = redis.call('HGET', P .. 'servers', seen[i])
  if told then
    out[#out + 1] = told
    out[#out + 1] = num(now - seen[i + 1])
  end
end
return out`;

/** ARGV: prefix, server. */
export const LEAVE = `${COMMON}
redis.call('HDEL', P .. 'servers', ARGV[2])
return redis.call('ZREM', P .. 'seen', ARGV[2])`;
