-- Whether one home-made worker is to be seen.
-- KEYS: its set ('' = none), its key ('' = none). ARGV: member, then field and value ...
-- Answers 1 or 0.
if KEYS[1] ~= '' then
    local kind = redis.call('TYPE', KEYS[1]).ok
    if kind == 'set' then
        if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then return 0 end
    elseif kind ~= 'zset' or not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
        return 0
    end
end
if KEYS[2] ~= '' then
    local kind = redis.call('TYPE', KEYS[2]).ok
    if kind == 'none' or (#ARGV > 1 and kind ~= 'hash') then return 0 end
    for i = 2, #ARGV, 2 do
        if redis.call('HGET', KEYS[2], ARGV[i]) ~= ARGV[i + 1] then return 0 end
    end
end
return 1
