-- Who settles a dead instance: one at a time.
-- KEYS: P:settling:<id>, P:instances, P:since. ARGV: id, our id, how long (ms), our own lease (ms); '0'
-- where its death is proved in its place: that waits for nobody who only looks from afar.
-- Answers 'begun', or why not: 'another' settles it, its lease is 'renewed', or the data is too
-- 'young' to say that a lease is over.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[4])
if lease == 0 then
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    return 'begun'
end
local since = redis.call('GET', KEYS[3])
if not since or now - tonumber(since) < lease then return 'young' end
local over = redis.call('ZSCORE', KEYS[2], ARGV[1])
if over and tonumber(over) > now then return 'renewed' end
if redis.call('SET', KEYS[1], ARGV[2], 'NX', 'PX', ARGV[3]) then return 'begun' end
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return 'another' end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'begun'
