-- A work horse goes on alone, and we wait for it: its job must not look abandoned meanwhile, as
-- nobody refreshes it any more.
-- KEYS: rq:worker:<name>. ARGV: name, pid, hostname, birth, queues ...
-- Answers the jobs that were refreshed.
local key, name = KEYS[1], ARGV[1]
local jobs = {}
local held = redis.call('TYPE', key).ok == 'hash' and redis.call('HMGET', key, 'pid', 'hostname', 'birth') or {}
if held[1] ~= ARGV[2] or held[2] ~= ARGV[3] or held[3] ~= ARGV[4] then return jobs end
local now = tonumber(redis.call('TIME')[1])
if redis.call('TTL', key) < 90 then redis.call('EXPIRE', key, 90) end
redis.call('EXPIRE', key .. ':executions', 90)
for i = 5, #ARGV do
    local wip = 'rq:wip:' .. ARGV[i]
    for _, member in ipairs(redis.call('ZRANGE', wip, 0, 19999)) do
        local job, execution = string.match(member, '^(.+):(%x+)$')
        if not job or #execution ~= 32 then job = member end
        local owner = redis.call('HGET', 'rq:execution:' .. member, 'worker_name')
        if not owner or owner == '' then
            local state = redis.call('HMGET', 'rq:job:' .. job, 'worker_name', 'status')
            owner = state[2] == 'started' and state[1] or ''
        end
        if owner == name then
            redis.call('ZADD', wip, 'XX', now + 90, member)
            redis.call('EXPIRE', 'rq:execution:' .. member, 90)
            if execution then
                redis.call('ZADD', 'rq:executions:' .. job, 'XX', now + 150, execution)
                redis.call('EXPIRE', 'rq:executions:' .. job, 150)
            end
            jobs[#jobs + 1] = job
        end
    end
end
return jobs
