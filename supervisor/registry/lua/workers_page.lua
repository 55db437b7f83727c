-- One page of the list of workers.
-- KEYS: the set of all, P:looks:<kind>. ARGV: cursor, members a page, what stands before a member in
-- its key, what a member begins with, fields of the key ...
-- Answers: ms of the server's clock, next cursor ('0' = done), a row for each worker: member, ms that
-- its key has left (-1: for ever, -2: there is none), ms since the first look at which it was missing
-- ('' = none), fields ...
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fields = {}
for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
local page = redis.call('SSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local rows = {string.format('%.0f', now), page[1]}
for _, member in ipairs(page[2]) do
    if string.sub(member, 1, #ARGV[4]) == ARGV[4] then
        local row = {member, redis.call('PTTL', ARGV[3] .. member), ''}
        if row[2] == -2 then
            local first = redis.call('HGET', KEYS[2], member)
            if first then row[3] = string.format('%.0f', math.max(0, now - (tonumber(first) or now))) end
        else
            local values = redis.pcall('HMGET', ARGV[3] .. member, unpack(fields))
            for i = 1, #fields do row[3 + i] = not values.err and values[i] or '' end
        end
        rows[#rows + 1] = row
    end
end
return rows
