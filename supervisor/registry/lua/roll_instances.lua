-- Facts of instances: of one page of all, or of those that live, or lived, in a place.
-- KEYS: P:instances, P:place:<place> ... (none: a page of all). ARGV: prefix, first, how many.
-- Answers a row for each: id, ms until its lease is over (negative: over since), entries in its
-- roll, facts as names and values ...
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = {}
if #KEYS == 1 then
    ids = redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[2] + ARGV[3] - 1)
else
    local seen = {}
    for i = 2, #KEYS do
        for _, id in ipairs(redis.call('SMEMBERS', KEYS[i])) do
            if not seen[id] and #ids < tonumber(ARGV[3]) then
                seen[id] = true
                ids[#ids + 1] = id
            end
        end
    end
end
local rows = {}
for _, id in ipairs(ids) do
    local over = redis.call('ZSCORE', KEYS[1], id) or now
    local row = {id, string.format('%.0f', over - now),
        tostring(redis.call('HLEN', ARGV[1] .. ':roll:' .. id))}
    for _, word in ipairs(redis.call('HGETALL', ARGV[1] .. ':instance:' .. id)) do row[#row + 1] = word end
    rows[#rows + 1] = row
end
return rows
