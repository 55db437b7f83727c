-- One page of the sweep: looks at the members of sets, and remembers since when the key of a member
-- is missing. Changes nothing else.
-- KEYS: P:looks:<kind>, P:sweeper, the set of all, then the sets from where the last page ended ...
-- ARGV: whose lease ('' = without it), how long it lasts (ms), cursor in the first set, members a
-- page, what stands before a member in its key, what a member begins with
-- Answers: 'lost', or 'page', how many sets are done, cursor in the next, members seen, sets that are
-- none, and for each member without its key: number of the set, member, ms since the first look.
local looks, all, prefix, begins = KEYS[1], KEYS[3], ARGV[5], ARGV[6]
if ARGV[1] ~= '' then
    if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'lost'} end
    redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
local answer = {'page', 0, ARGV[3], 0, 0}

local function look(number, members)
    local sought = {}
    for _, member in ipairs(members) do
        local is_ours = string.sub(member, 1, #begins) == begins
        -- Who is in the set of all is looked at there.
        if is_ours and (number == 0 or redis.call('SISMEMBER', all, member) == 0) then
            sought[#sought + 1] = member
        end
    end
    if #sought == 0 then return end
    local known = redis.call('EXISTS', looks) == 1 and redis.call('HMGET', looks, unpack(sought)) or {}
    local fine, fresh = {}, {}
    for i, member in ipairs(sought) do
        if redis.call('EXISTS', prefix .. member) == 1 then
            if known[i] then fine[#fine + 1] = member end
        else
            if not known[i] then
                fresh[#fresh + 1] = member
                fresh[#fresh + 1] = now_text
            end
            answer[#answer + 1] = number
            answer[#answer + 1] = member
            answer[#answer + 1] = string.format('%.0f', math.max(0, now - (tonumber(known[i] or '') or now)))
        end
    end
    if #fine > 0 then redis.call('HDEL', looks, unpack(fine)) end
    if #fresh > 0 then redis.call('HSET', looks, unpack(fresh)) end
end

-- Small sets go together in one page; a call is bounded by its members, and by turns where a set has
-- just lost most of them.
local at, cursor, seen, turns = 4, ARGV[3], 0, 0
while at <= #KEYS and seen < tonumber(ARGV[4]) and turns < 100 do
    local page = redis.pcall('SSCAN', KEYS[at], cursor, 'COUNT', ARGV[4])
    if page.err then
        answer[5] = answer[5] + 1
        page = {'0', {}}
    end
    look(KEYS[at] == all and 0 or at - 3, page[2])
    seen, turns, cursor = seen + #page[2], turns + 1, page[1]
    if cursor == '0' then at = at + 1 end
end
answer[2], answer[3], answer[4] = at - 4, cursor, seen
return answer
