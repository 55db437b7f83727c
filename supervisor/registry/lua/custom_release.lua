-- Removes exactly what one dead home-made worker left: its member and its key. The caller has proved
-- that nothing of its family lives. All is compared before anything is removed.
-- KEYS: its set ('' = none), its key ('' = none), the claim of its name, the roll of its instance.
-- ARGV: the claim's value, is it of a settlement ('1'; then the claim's value only begins so), name and
-- value of its entry in the roll, member, then field and value ...
-- Answers: verdict, detail.
local first_field = 6
local is_estate, member = ARGV[2] == '1', ARGV[5]
if is_estate and redis.call('HGET', KEYS[4], ARGV[3]) ~= ARGV[4] then
    return {'taken', 'the roll has another entry, or none'}
end
local claim = redis.call('GET', KEYS[3])
if claim then
    if claim ~= ARGV[1] and not (is_estate and string.sub(claim, 1, #ARGV[1]) == ARGV[1]) then
        return {'mismatch', 'its name is claimed by ' .. claim}
    end
    redis.call('DEL', KEYS[3])
end

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
    if has_key and #ARGV >= first_field and kind ~= 'hash' then
        return {'mismatch', KEYS[2] .. ' is a ' .. kind}
    end
    for i = first_field, has_key and #ARGV or 0, 2 do
        local held = redis.call('HGET', KEYS[2], ARGV[i])
        if held ~= ARGV[i + 1] then
            return {'mismatch', KEYS[2] .. ' has ' .. ARGV[i] .. ' ' .. (held or '(none)')}
        end
    end
end

local gone = 0
if set_kind == 'set' then gone = redis.call('SREM', KEYS[1], member) end
if set_kind == 'zset' then gone = redis.call('ZREM', KEYS[1], member) end
if has_key then gone = gone + redis.call('DEL', KEYS[2]) end
return {gone > 0 and 'removed' or 'nothing_there', ''}
