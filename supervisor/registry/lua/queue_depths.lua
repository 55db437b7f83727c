-- KEYS: where jobs wait. Answers how many each list or sorted set holds; -1 where it is neither.
local depths = {}
for i, key in ipairs(KEYS) do
    local depth = redis.pcall('LLEN', key)
    if type(depth) == 'table' and string.find(depth.err, 'WRONGTYPE', 1, true) then
        depth = redis.pcall('ZCARD', key)
    end
    if type(depth) == 'table' then
        if not string.find(depth.err, 'WRONGTYPE', 1, true) then return depth end
        depth = -1
    end
    depths[i] = depth
end
return depths
