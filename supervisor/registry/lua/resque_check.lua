-- Live own Resque workers: whoever fell out of the registry is put back as it wrote itself at its start.
-- By itself a worker renews its heartbeat and nothing else.
-- KEYS: resque:workers, then resque:worker:<id>:started of each. ARGV, of each: id, when it started,
-- was it missing at the last look, too ('1').
-- Answers for each 'here', 'missing' (its end may be on its way: it is put back at the next look),
-- 'put-back' or 'foreign' (the id is in use since another time).
local answers = {}
for i = 2, #KEYS do
    local at = 3 * (i - 2)
    local id, born, was_missing = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3] == '1'
    local started = redis.call('GET', KEYS[i])
    local is_member = redis.call('SISMEMBER', KEYS[1], id) == 1
    local answer = 'here'
    if started and started ~= born then
        answer = 'foreign'
    elseif not (started and is_member) then
        answer = was_missing and 'put-back' or 'missing'
        if was_missing then
            redis.call('SADD', KEYS[1], id)
            redis.call('SET', KEYS[i], born)
        end
    end
    answers[#answers + 1] = answer
end
return answers
