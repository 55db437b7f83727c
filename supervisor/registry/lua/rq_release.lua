-- Removes exactly one dead worker and settles its job. The caller has proved that nothing of the
-- worker's family lives; or, of another instance's worker, gives what the table in roll.h asks for.
-- KEYS: rq:worker:<name>, rq:workers, rq:worker:<name>:executions, the claim of its name,
-- P:looks:rq, P:instances, P:roll:<instance>.
-- ARGV: name, pid, hostname, birth ('' = never learnt), earliest birth (for that case), the claim's
-- value (of a settlement: how it begins), 'hand-back', 'fail' or 'leave' its job, remembered version
-- ('' = none), proof ('reaped', 'same-place', 'lease-over'), and of a settlement: instance, name in
-- its roll, entry as read, ms between the two looks; prefix of the deaths' keys, deaths that make a
-- job poison ('0': not counted), within (ms), how this death is called, and what is said of it on
-- its job (as RQ keeps a result's exc_string): where it fails, where it is poison; remembered
-- queues ...
-- Answers: verdict, detail, ids of the jobs handed back ..., and in arrays of one: of those failed.
local worker_key, workers_key, executions_key, claim_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local looks_key, instances_key, roll_key = KEYS[5], KEYS[6], KEYS[7]
local name, pid, hostname, birth, earliest = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local claim_value, jobs_way, version, proof = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local instance, given, entry, apart = ARGV[10], ARGV[11], ARGV[12], tonumber(ARGV[13])
local deaths_prefix, most_deaths, within, death = ARGV[14], tonumber(ARGV[15]), tonumber(ARGV[16]), ARGV[17]
local record_of_failure, record_of_poison = ARGV[18], ARGV[19]
local first_queue = 20

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local kind = redis.call('TYPE', worker_key).ok
if kind ~= 'hash' and kind ~= 'none' then
    return {'mismatch', worker_key .. ' is a ' .. kind}
end

local held = redis.call('HMGET', worker_key, 'pid', 'hostname', 'birth', 'queues', 'version', 'death')
local verdict = 'nothing_there'
if kind == 'hash' then
    if not (held[1] or held[2] or held[3]) then
        verdict = 'zombie_removed'  -- written by a work horse, or by a heartbeat, after the key was gone
    else
        local same = held[1] == pid and held[2] == hostname and held[3]
        if birth ~= '' then
            same = same and held[3] == birth
        else
            same = same and string.match(held[3], '^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d') and held[3] >= earliest
        end
        if not same then
            verdict = 'mismatch'
        elseif not held[6] then  -- with a death it ended in order; its job may be left
            verdict = 'removed'
        end
    end
end

local queues = {}
for i = first_queue, #ARGV do queues[#queues + 1] = ARGV[i] end
if #queues == 0 and held[4] then
    for queue in string.gmatch(held[4], '[^,]+') do queues[#queues + 1] = queue end
end
if version == '' then version = held[5] or '' end

local handed_back, failed, notes = {}, {}, {}

-- RQ 2 and later: "job:execution", where an execution is 32 hex digits; before: the bare job id.
local function job_of(member)
    local job, execution = string.match(member, '^(.+):(%x+)$')
    if job and #execution == 32 and redis.call('EXISTS', 'rq:job:' .. member) == 0 then return job end
    return member
end

-- The name alone is no proof: a requeued job keeps the name of its last worker.
local function is_ours(member, job, members_of_job)
    if job ~= member then
        local owner = redis.call('HGET', 'rq:execution:' .. member, 'worker_name')
        if owner and owner ~= '' then return owner == name end
    end
    local state = redis.call('HMGET', 'rq:job:' .. job, 'worker_name', 'status')
    return state[1] == name and state[2] == 'started' and members_of_job[job] == 1
end

-- Members of that queue's jobs in flight that are this worker's, with their jobs and scores.
local function own_members(queue)
    local wip = 'rq:wip:' .. queue
    if redis.call('TYPE', wip).ok ~= 'zset' then return {} end
    local members = redis.call('ZRANGE', wip, 0, 19999)
    local jobs, members_of_job, own = {}, {}, {}
    for i, member in ipairs(members) do
        jobs[i] = job_of(member)
        members_of_job[jobs[i]] = (members_of_job[jobs[i]] or 0) + 1
    end
    for i, member in ipairs(members) do
        if is_ours(member, jobs[i], members_of_job) then own[#own + 1] = {member = member, job = jobs[i]} end
    end
    return own
end

-- Of another instance's worker. Answers what keeps it, or nothing.
local function what_keeps_it()
    local counted = redis.pcall('PUBSUB', 'NUMSUB', 'rq:pubsub:' .. name)
    if counted.err then return 'alive', 'Redis does not let us see whether it listens: ' .. counted.err end
    if tonumber(counted[2]) > 0 then return 'alive', 'somebody listens on its channel' end
    if proof ~= 'lease-over' then return nil end
    local over = redis.call('ZSCORE', instances_key, instance)
    if over and tonumber(over) > now then return 'taken', 'the lease of its instance has been renewed' end
    if verdict == 'mismatch' then return nil end  -- another has the name by now
    if kind ~= 'none' then return 'alive', 'its key is there' end
    for _, queue in ipairs(queues) do
        for _, one in ipairs(own_members(queue)) do
            local score = redis.call('ZSCORE', 'rq:wip:' .. queue, one.member)
            if tonumber(score) > now / 1000 then return 'alive', 'its job ' .. one.job .. ' is being refreshed' end
        end
    end
    local first = redis.call('HGET', looks_key, worker_key)
    if not first then
        redis.call('HSET', looks_key, worker_key, string.format('%.0f', now))
        return 'looked', 'once'
    end
    if now - tonumber(first) < apart then return 'looked', 'too lately' end
    return nil
end

if proof ~= 'reaped' then
    if redis.call('HGET', roll_key, given) ~= entry then return {'taken', 'the roll has another entry, or none'} end
    local why, detail = what_keeps_it()
    if why then
        if why ~= 'looked' then redis.call('HDEL', looks_key, worker_key) end
        return {why, detail}
    end
    redis.call('HDEL', looks_key, worker_key)
end

local claim = redis.call('GET', claim_key)
if claim and (claim == claim_value or (proof ~= 'reaped' and string.sub(claim, 1, #claim_value) == claim_value)) then
    redis.call('DEL', claim_key)
end
if verdict == 'mismatch' then
    return {'mismatch', 'held by pid ' .. (held[1] or '?') .. ' on ' .. (held[2] or '?') ..
        ' since ' .. (held[3] or '?')}
end

local was_member = redis.call('SREM', workers_key, worker_key) == 1
if #queues == 0 and was_member then
    -- The hash is gone and was never read: any queue may hold it. RQ knows them all.
    for i, key in ipairs(redis.call('SMEMBERS', 'rq:queues')) do
        if i > 1000 then break end
        queues[#queues + 1] = string.gsub(key, '^rq:queue:', '')
    end
end

-- Deaths with this job in hand, over all hosts; the same death counts once.
local function is_poison(job)
    if most_deaths == 0 then return false end
    local key = deaths_prefix .. job
    redis.call('ZADD', key, string.format('%.0f', now), death)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - within))
    redis.call('PEXPIRE', key, within)
    return redis.call('ZCARD', key) >= most_deaths
end

-- Where RQ shows it: among the job's results, beside the one that RQ itself will write.
local function record(job, text)
    if text == '' then return end
    local key = 'rq:results:' .. job
    if redis.call('TYPE', key).ok == 'none' or redis.call('TTL', key) >= 0 then
        redis.pcall('XADD', key, 'MAXLEN', 10, '*', 'type', '2', 'exc_string', text)
        redis.call('EXPIRE', key, 31536000)  -- RQ's own default; it sets it anew with its own result
    end
end

-- RQ's own maintenance retries or fails what looks abandoned, by its own rules: callbacks,
-- dependents, slots. Without retries left it fails.
local function settle(queue, member, job)
    local job_key = 'rq:job:' .. job
    local poison = is_poison(job)
    local fails = poison or jobs_way == 'fail'
    if fails and redis.call('EXISTS', job_key) == 1 then redis.call('HSET', job_key, 'retries_left', 0) end
    local retries = tonumber(redis.call('HGET', job_key, 'retries_left') or 0) or 0
    local is_repeated = redis.call('ZSCORE', 'rq:wip:' .. queue, member) == '1'
    if retries <= 0 and job ~= member and not is_repeated then record(job, poison and record_of_poison or record_of_failure) end
    -- Score 1 looks expired to RQ.
    redis.call('ZADD', 'rq:wip:' .. queue, 'XX', 1, member)
    -- A copy left there would run the job again after its end.
    redis.call('LREM', 'rq:queue:' .. queue .. ':intermediate', 1, job)
    if fails then
        failed[#failed + 1] = job
        if poison then notes[#notes + 1] = job .. ' is poison: it was in hand at ' .. most_deaths .. ' deaths' end
    else
        handed_back[#handed_back + 1] = job
    end
end

-- Whether no other worker of the queue can have such a lock: all of them are known, none is of
-- another host (where our pid may be anybody's), and none was there when the scheduler was made.
local function is_nobody_elses(queue, made_at)
    local workers = 'rq:workers:' .. queue
    if redis.call('TYPE', workers).ok ~= 'set' then return false end
    local page = redis.call('SSCAN', workers, 0, 'COUNT', 1000)
    if page[1] ~= '0' then return false end  -- too many to ask
    for _, other in ipairs(page[2]) do
        if other ~= worker_key then
            if redis.call('TYPE', other).ok ~= 'hash' then return false end
            local seen = redis.call('HMGET', other, 'hostname', 'pid', 'birth')
            if not (seen[1] and seen[2] and seen[3]) then return false end
            if made_at then
                if seen[1] == hostname and seen[3] <= made_at then return false end
            elseif seen[1] ~= hostname or seen[2] == pid then
                return false
            end
        end
    end
    return true
end

-- The lock of a scheduler carries the pid of its worker (RQ up to 2.9), or the name of a scheduler of
-- its host that was made after its birth. It is refreshed each second, to more than a minute: one that
-- is not is the dead worker's. One that is fresh is so where we have reaped the worker (its scheduler
-- is gone too, perhaps by KILL) and nobody else can have it.
local function free_scheduler(queue)
    local lock = 'rq:scheduler-lock:' .. queue
    if redis.call('TYPE', lock).ok ~= 'string' then return end
    local holder, left = redis.call('GET', lock), redis.call('PTTL', lock)
    if left < 0 then return end
    local is_own, made_at = holder == pid, nil
    if not is_own and birth ~= '' and redis.call('TYPE', 'rq:scheduler:' .. holder).ok == 'hash' then
        local made = redis.call('HMGET', 'rq:scheduler:' .. holder, 'hostname', 'created_at')
        made_at = made[2]
        is_own = made[1] == hostname and made_at and made_at >= birth
    end
    if not is_own then return end
    if left > 57000 and not (proof == 'reaped' and is_nobody_elses(queue, made_at)) then return end
    redis.call('DEL', lock)
    notes[#notes + 1] = 'freed the scheduler lock of ' .. queue
end

-- RQ up to 1.15 keeps its maintenance lock after the work, as its rate limit: the replacement would
-- not look. It names no owner, so a young one may be a cleanup in progress and is left alone.
local function free_maintenance(queue)
    local major, minor = string.match(version, '^(%d+)%.(%d+)')
    major, minor = tonumber(major), tonumber(minor)
    if not major or major > 1 or (major == 1 and minor > 15) then return end
    local lock = 'rq:clean_registries:' .. queue
    local left = redis.call('TTL', lock)
    if left < 0 then return end
    if 899 - left > 10 then
        redis.call('DEL', lock)
        notes[#notes + 1] = 'freed the maintenance lock of ' .. queue
    else
        notes[#notes + 1] = 'the maintenance lock of ' .. queue .. ' is young and was left'
    end
end

for _, queue in ipairs(queues) do
    if jobs_way ~= 'leave' then
        local own = own_members(queue)
        for _, one in ipairs(own) do settle(queue, one.member, one.job) end
        if #own > 0 then free_maintenance(queue) end
    end
    free_scheduler(queue)
    if redis.call('SREM', 'rq:workers:' .. queue, worker_key) == 1 then was_member = true end
end
redis.call('DEL', worker_key, executions_key)
if verdict == 'nothing_there' and was_member then verdict = 'removed' end
if proof ~= 'reaped' then redis.call('HDEL', roll_key, given) end

local answer = {verdict, table.concat(notes, '; ')}
for _, job in ipairs(handed_back) do answer[#answer + 1] = job end
for _, job in ipairs(failed) do answer[#answer + 1] = {job} end
return answer
