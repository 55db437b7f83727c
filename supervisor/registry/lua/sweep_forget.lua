-- Forgets looks, a page of them, at members that have left all sets by themselves. Young ones stay:
-- a settlement looks at workers that may be in no set.
-- KEYS: P:looks:<kind>, the sets ... ARGV: cursor, looks a page, ms that a look is kept at least
-- Answers the next cursor ('0' = done) and how many were forgotten.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local old = {}
for i = 1, #page[2], 2 do
    local is_old = now - (tonumber(page[2][i + 1]) or 0) >= tonumber(ARGV[3])
    local at = 2
    while is_old and at <= #KEYS do
        if redis.pcall('SISMEMBER', KEYS[at], page[2][i]) == 1 then is_old = false end
        at = at + 1
    end
    if is_old then old[#old + 1] = page[2][i] end
end
if #old > 0 then redis.call('HDEL', KEYS[1], unpack(old)) end
return {page[1], #old}
