-- Tells Resque of a dead worker: its heartbeat is set into the far past, so that the next Resque worker
-- to start prunes it, and fails its job by the job's own rules. Nothing is removed here: worker:<id> is
-- the only record of the job. The caller has proved that nothing of the worker's family lives.
-- KEYS: resque:workers, resque:workers:heartbeat, resque:pruning_dead_workers_in_progress,
-- resque:worker:<id>, resque:worker:<id>:started, our claim.
-- ARGV: id, when it started, our claim's value, hand back ('1').
-- Answers: verdict, detail.
if redis.call('GET', KEYS[6]) == ARGV[3] then redis.call('DEL', KEYS[6]) end

if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then return {'nothing_there', ''} end
local started = redis.call('GET', KEYS[5])
if started ~= ARGV[2] then
    return {'mismatch', 'the id is in use since ' .. (started or '?')}
end
local is_busy = redis.call('EXISTS', KEYS[4]) == 1
if ARGV[4] ~= '1' then
    return {'left', 'Resque sees the death by itself, after 300 s'}
end
redis.call('HSET', KEYS[2], ARGV[1], '1970-01-01T00:00:00Z')
-- Its own, from its start: the next worker could not prune for up to 60 s.
if redis.call('GET', KEYS[3]) == ARGV[1] then redis.call('DEL', KEYS[3]) end
if is_busy then
    return {'told', 'the next Resque worker to start prunes it and fails its job'}
end
return {'told', 'the next Resque worker to start prunes it'}
