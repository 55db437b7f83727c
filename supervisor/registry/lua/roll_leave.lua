-- An instance ends in order. What is still in its roll is somebody else's to settle, from now on.
-- KEYS: P:instances, P:instance:<id>, P:roll:<id>, P:place:<place> of it ... ARGV: id, names of
-- entries that are gone ...
for i = 2, #ARGV do redis.call('HDEL', KEYS[3], ARGV[i]) end
if redis.call('HLEN', KEYS[3]) > 0 then
    redis.call('ZADD', KEYS[1], 'XX', 0, ARGV[1])
    return redis.call('HLEN', KEYS[3])
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[3])
for i = 4, #KEYS do redis.call('SREM', KEYS[i], ARGV[1]) end
return 0
