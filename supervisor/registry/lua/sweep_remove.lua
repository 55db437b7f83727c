-- Removes members whose key is missing now and was at a look long enough ago, from all sets at once.
-- KEYS: P:looks:<kind>, P:sweeper, the sets ...
-- ARGV: whose lease, how long it lasts (ms), ms between the two looks, what stands before a member in
-- its key, members ...
-- Answers 'lost', or 'done' and for each member '1' where it is gone, else '0'.
local looks, apart, prefix = KEYS[1], tonumber(ARGV[3]), ARGV[4]
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'lost'} end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local members = {}
for i = 5, #ARGV do members[#members + 1] = ARGV[i] end
local first = redis.call('HMGET', looks, unpack(members))
local gone, answer = {}, {'done'}
for i, member in ipairs(members) do
    local is_due = first[i] and now - (tonumber(first[i]) or now) >= apart
    if is_due and redis.call('EXISTS', prefix .. member) == 0 then
        gone[#gone + 1] = member
        answer[i + 1] = '1'
    else
        answer[i + 1] = '0'
    end
end
if #gone > 0 then
    for i = 3, #KEYS do redis.pcall('SREM', KEYS[i], unpack(gone)) end
    redis.call('HDEL', looks, unpack(gone))
end
return answer
