-- Renews the lease of one instance, and carries all that has changed in its part of the roll.
-- KEYS: P:instances, P:instance:<id>, P:roll:<id>, P:since, P:place:<place> of us ...
-- ARGV: id, lease (ms), prefix, 'whole' or 'changes', how many facts, name and value of each fact,
-- how many entries are gone, their names, then name and value of each entry that is new or changed.
-- Answers: 'renewed', since when muster's data is here (ms ago), ids of instances whose lease is
-- over and whom nobody settles; or 'unknown': Redis knows nothing of us, the caller sends the whole.
local id, lease, prefix, is_whole = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == 'whole'
local kept = 604800000  -- a week: longer than any outage after which somebody could still settle it

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[4], string.format('%.0f', now), 'NX')

if not is_whole and redis.call('EXISTS', KEYS[2]) == 0 then return {'unknown'} end

local at = 6
local facts = tonumber(ARGV[5])
if is_whole then
    redis.call('DEL', KEYS[2], KEYS[3])
    for i = 0, facts - 1 do redis.call('HSET', KEYS[2], ARGV[at + 2 * i], ARGV[at + 2 * i + 1]) end
    for i = 5, #KEYS do
        redis.call('SADD', KEYS[i], id)
        redis.call('PEXPIRE', KEYS[i], kept)
    end
end
at = at + 2 * facts

local gone = tonumber(ARGV[at])
for i = 1, gone do redis.call('HDEL', KEYS[3], ARGV[at + i]) end
at = at + gone + 1
for i = at, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end

redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), id)
redis.call('PEXPIRE', KEYS[2], kept)
redis.call('PEXPIRE', KEYS[3], kept)

local since = tonumber(redis.call('GET', KEYS[4]) or now)
local answer = {'renewed', string.format('%.0f', math.max(0, now - since))}
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, 8)) do
    if redis.call('EXISTS', prefix .. ':settling:' .. other) == 0 then answer[#answer + 1] = other end
end
return answer
