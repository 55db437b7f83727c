-- Removes exactly one dead Sidekiq process. The caller has proved that nothing of its family lives.
-- KEYS: processes, <identity>, <identity>:workers (to 6.4), <identity>:work (from 6.5), our claim.
-- ARGV: identity, pid, hostname, started_at, our claim's value.
-- Answers: verdict, detail.
if redis.call('GET', KEYS[5]) == ARGV[5] then redis.call('DEL', KEYS[5]) end

local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'hash' and kind ~= 'none' then return {'mismatch', KEYS[2] .. ' is a ' .. kind} end
local is_member = redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1
local info = redis.call('HGET', KEYS[2], 'info')
if info then
    local pid = string.match(info, '"pid":(%d+)')
    local hostname = string.match(info, '"hostname":"([^"\\]*)"')
    local started = string.match(info, '"started_at":([%d%.eE+-]+)')
    if pid ~= ARGV[2] or hostname ~= ARGV[3] or started ~= ARGV[4] then
        return {'mismatch', 'held by pid ' .. (pid or '?') .. ' on ' .. (hostname or '?') ..
            ' since ' .. (started or '?')}
    end
end
if not is_member and kind == 'none' then return {'nothing_there', ''} end

-- The jobs in hand had left their queue. This copy of them is up to 10 s old: to push it back would
-- run finished jobs twice and miss newer ones.
local detail = ''
local jobs = 0
for i = 3, 4 do
    local held = redis.pcall('HLEN', KEYS[i])
    if type(held) == 'number' then jobs = jobs + held end
end
if jobs > 0 then
    detail = 'it had ' .. jobs .. ' job(s) in hand at its last beat, which plain Sidekiq does not get back'
end
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
if not is_member then detail = 'it had ended in order' end
return {'removed', detail}
