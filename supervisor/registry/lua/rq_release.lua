-- Removes exactly one dead worker and hands back its job. The caller has proved that nothing of
-- the worker's family lives.
-- KEYS: rq:worker:<name>, rq:workers, rq:worker:<name>:executions, our claim of the name.
-- ARGV: name, pid, hostname, birth ('' = never learnt), earliest birth (for that case), our claim's
-- value, hand back ('1'), remembered version ('' = none), remembered queues ...
-- Answers: verdict, detail, ids of the jobs handed back ...
local worker_key, workers_key, executions_key, claim_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, pid, hostname, birth, earliest = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local claim_value, hands_back, version = ARGV[6], ARGV[7] == '1', ARGV[8]

if redis.call('GET', claim_key) == claim_value then redis.call('DEL', claim_key) end

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
            return {'mismatch', 'held by pid ' .. (held[1] or '?') .. ' on ' .. (held[2] or '?') ..
                ' since ' .. (held[3] or '?')}
        end
        if not held[6] then verdict = 'removed' end  -- death: it ended in order, its job may be left
    end
end

local queues = {}
for i = 9, #ARGV do queues[#queues + 1] = ARGV[i] end
if #queues == 0 and held[4] then
    for queue in string.gmatch(held[4], '[^,]+') do queues[#queues + 1] = queue end
end
if version == '' then version = held[5] or '' end

local was_member = redis.call('SREM', workers_key, worker_key) == 1
if #queues == 0 and was_member then
    -- The hash is gone and was never read: any queue may hold it. RQ knows them all.
    for i, key in ipairs(redis.call('SMEMBERS', 'rq:queues')) do
        if i > 1000 then break end
        queues[#queues + 1] = string.gsub(key, '^rq:queue:', '')
    end
end

local handed_back, notes = {}, {}

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

local function hand_back(queue)
    local wip = 'rq:wip:' .. queue
    if redis.call('TYPE', wip).ok ~= 'zset' then return end
    local members = redis.call('ZRANGE', wip, 0, 19999)
    local jobs, members_of_job = {}, {}
    for i, member in ipairs(members) do
        jobs[i] = job_of(member)
        members_of_job[jobs[i]] = (members_of_job[jobs[i]] or 0) + 1
    end
    local found = false
    for i, member in ipairs(members) do
        if is_ours(member, jobs[i], members_of_job) then
            -- Score 1 looks expired to RQ, whose next maintenance retries or fails the job.
            redis.call('ZADD', wip, 'XX', 1, member)
            -- A copy left there would run the job again after its end.
            redis.call('LREM', 'rq:queue:' .. queue .. ':intermediate', 1, jobs[i])
            handed_back[#handed_back + 1] = jobs[i]
            found = true
        end
    end
    if found then free_maintenance(queue) end
end

for _, queue in ipairs(queues) do
    if hands_back then hand_back(queue) end
    if redis.call('SREM', 'rq:workers:' .. queue, worker_key) == 1 then was_member = true end
end
redis.call('DEL', worker_key, executions_key)
if verdict == 'nothing_there' and was_member then verdict = 'removed' end

local answer = {verdict, table.concat(notes, '; ')}
for _, job in ipairs(handed_back) do answer[#answer + 1] = job end
return answer
