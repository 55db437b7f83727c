-- One page of the search for Resque workers, which choose their ids themselves.
-- KEYS[1]: resque:workers. ARGV: cursor, members a page, our hostname.
-- Answers the next cursor ('0' = done) and the workers of our host on this page: id, pid, hostname,
-- when it started, queues, '' (no version). An id is "hostname:pid:queue,queue".
local page = redis.call('SSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local prefix = ARGV[3] .. ':'
local rows = {}
for _, id in ipairs(page[2]) do
    if string.sub(id, 1, #prefix) == prefix then
        local pid, queues = string.match(string.sub(id, #prefix + 1), '^(%d+):(.*)$')
        local started = pid and redis.pcall('GET', 'resque:worker:' .. id .. ':started')
        if type(started) == 'string' then
            rows[#rows + 1] = {id, pid, ARGV[3], started, queues, ''}
        end
    end
end
return {page[1], rows}
