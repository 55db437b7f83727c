-- KEYS: the hash of a live holder (rq:worker:<name>; '' = there is none), the claim. ARGV: our value, how long it
-- lasts (ms).
-- Answers 'claimed', or 'held' with pid, hostname, birth and the claim's value, as far as known.
-- RQ's own check is two reads and a later write: no lock. This one step is.
local held = redis.call('HMGET', KEYS[1], 'pid', 'hostname', 'birth', 'death')
if redis.call('EXISTS', KEYS[1]) == 1 and not held[4] then
    return {'held', held[1] or '', held[2] or '', held[3] or '', redis.call('GET', KEYS[2]) or ''}
end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'claimed'} end
local owner = redis.call('GET', KEYS[2])
if owner == ARGV[1] then
    redis.call('PEXPIRE', KEYS[2], ARGV[2])
    return {'claimed'}
end
return {'held', '', '', '', owner or ''}
