-- Entries of a dead instance that have been settled leave the roll; the instance goes with its last.
-- KEYS: P:roll:<id>, P:instances, P:instance:<id>, P:settling:<id>, P:place:<place> of it ...
-- ARGV: id, our id, name and value (as read) of each entry that has been settled ...
-- Answers how many entries are left.
for i = 3, #ARGV, 2 do
    if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
local left = redis.call('HLEN', KEYS[1])
if left > 0 then return left end
if redis.call('GET', KEYS[4]) ~= ARGV[2] then return 0 end  -- another is at it now
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[3], KEYS[4])
for i = 5, #KEYS do redis.call('SREM', KEYS[i], ARGV[1]) end
return 0
