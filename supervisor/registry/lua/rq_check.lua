-- Live own workers: whoever fell out of the registry is put back whole. By itself a worker writes
-- neither its pid and birth again nor its place in the sets.
-- KEYS: rq:worker:<name> of each. ARGV, of each: name, pid, hostname, birth, queues (with commas),
-- version, its heartbeat as last seen.
-- Answers a row for each: 'here', 'put-back', 'foreign' (others hold the name) or 'ended' (in
-- order); its heartbeat, its state ('' = unknown), its job in hand ('' = none) and that job's timeout
-- (s; '' = unknown).
local rows = {}
for i, key in ipairs(KEYS) do
    local at = (i - 1) * 7
    local name, pid, hostname, birth = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    local queues, version, seen = ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
    local kind = redis.call('TYPE', key).ok
    local held = kind ~= 'hash' and {} or
        redis.call('HMGET', key, 'pid', 'hostname', 'birth', 'death', 'last_heartbeat', 'state', 'current_job')
    local differs = (held[1] and held[1] ~= pid) or (held[2] and held[2] ~= hostname) or
        (held[3] and held[3] ~= birth)
    if held[4] then
        rows[i] = {'ended', '', '', '', ''}
    elseif differs or (kind ~= 'hash' and kind ~= 'none') then
        rows[i] = {'foreign', '', '', '', ''}
    else
        local verdict = 'here'
        local job = redis.call('SMEMBERS', key .. ':executions')[1] or held[7] or ''
        job = string.gsub(job, ':%x+$', '')
        if not (held[1] and held[2] and held[3]) then
            verdict = 'put-back'
            redis.call('HSET', key, 'pid', pid, 'hostname', hostname, 'birth', birth, 'queues', queues,
                'version', version)
            -- Not a heartbeat of ours: it must be seen whether the worker's own go on.
            if not held[5] then redis.call('HSET', key, 'last_heartbeat', seen ~= '' and seen or birth) end
            if not held[6] then redis.call('HSET', key, 'state', job == '' and 'idle' or 'busy') end
        end
        if redis.call('TTL', key) < 0 then redis.call('EXPIRE', key, 480) end
        if redis.call('SADD', 'rq:workers', key) == 1 then verdict = 'put-back' end
        for queue in string.gmatch(queues, '[^,]+') do
            if redis.call('SADD', 'rq:workers:' .. queue, key) == 1 then verdict = 'put-back' end
        end
        local timeout = job ~= '' and redis.call('HGET', 'rq:job:' .. job, 'timeout') or ''
        -- RQ writes the birth first and the state after it (2.3.3 and 3.0.0: bootstrap): whoever has
        -- no state yet has not begun to look for jobs.
        local state = held[6] or (verdict == 'here' and job == '' and 'started') or ''
        rows[i] = {verdict, held[5] or seen, state, job, timeout or ''}
    end
end
return rows
