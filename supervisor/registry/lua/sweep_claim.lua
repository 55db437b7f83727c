-- Who sweeps this Redis now: one at a time.
-- KEYS: P:sweeper, P:swept. ARGV: who, how long (ms), '1': not while the last sweep is still fresh
-- Answers 'ours', or 'held' with who and for how many ms, or 'fresh' with who and for how many ms.
if ARGV[3] == '1' then
    local last = redis.call('GET', KEYS[2])
    if last then return {'fresh', last, tostring(redis.call('PTTL', KEYS[2]))} end
end
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return {'held', owner, tostring(redis.call('PTTL', KEYS[1]))} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'ours'}
