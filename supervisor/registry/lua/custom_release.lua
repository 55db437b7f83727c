-- Removes exactly what one dead home-made worker left: its member and its key. The caller has proved
-- that nothing of its family lives. All is compared before anything is removed.
-- KEYS: its set ('' = none), its key ('' = none), our claim.
-- ARGV: our claim's value, member, then field and value ...
-- Answers: verdict, detail.
if redis.call('GET', KEYS[3]) == ARGV[1] then redis.call('DEL', KEYS[3]) end

local set_kind = 'none'
if KEYS[1] ~= '' then
    set_kind = redis.call('TYPE', KEYS[1]).ok
    if set_kind ~= 'set' and set_kind ~= 'zset' and set_kind ~= 'none' then
        return {'mismatch', KEYS[1] .. ' is a ' .. set_kind}
    end
end
local has_key = false
if KEYS[2] ~= '' then
    local kind = redis.call('TYPE', KEYS[2]).ok
    has_key = kind ~= 'none'
    if has_key and #ARGV > 2 and kind ~= 'hash' then
        return {'mismatch', KEYS[2] .. ' is a ' .. kind}
    end
    for i = 3, has_key and #ARGV or 0, 2 do
        local held = redis.call('HGET', KEYS[2], ARGV[i])
        if held ~= ARGV[i + 1] then
            return {'mismatch', KEYS[2] .. ' has ' .. ARGV[i] .. ' ' .. (held or '(none)')}
        end
    end
end

local gone = 0
if set_kind == 'set' then gone = redis.call('SREM', KEYS[1], ARGV[2]) end
if set_kind == 'zset' then gone = redis.call('ZREM', KEYS[1], ARGV[2]) end
if has_key then gone = gone + redis.call('DEL', KEYS[2]) end
return {gone > 0 and 'removed' or 'nothing_there', ''}
