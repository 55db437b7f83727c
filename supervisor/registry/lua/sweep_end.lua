-- A sweep is over. KEYS: P:sweeper, P:swept. ARGV: who, for how long (ms) nobody need sweep again;
-- '0': it was not a whole one
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if tonumber(ARGV[2]) > 0 then redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2]) end
return 1
