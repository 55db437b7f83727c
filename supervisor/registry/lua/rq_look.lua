-- KEYS: rq:worker:<name> of every sought worker. Answers one row for each: pid, hostname, birth,
-- queues, version; an empty row where there is no live registration.
local rows = {}
for i, key in ipairs(KEYS) do
    local row = redis.call('HMGET', key, 'pid', 'hostname', 'birth', 'queues', 'version', 'death')
    if row[1] and row[2] and row[3] and not row[6] then
        rows[i] = {row[1], row[2], row[3], row[4] or '', row[5] or ''}
    else
        rows[i] = {}
    end
end
return rows
