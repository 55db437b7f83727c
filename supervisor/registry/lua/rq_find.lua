-- One page of the search for workers that chose their names themselves.
-- KEYS[1]: rq:workers. ARGV: cursor, members a page, our hostname.
-- Answers the next cursor ('0' = done) and the live workers of our host on this page.
local page = redis.call('SSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local rows = {}
for _, key in ipairs(page[2]) do
    if string.sub(key, 1, 10) == 'rq:worker:' then
        local row = redis.call('HMGET', key, 'pid', 'hostname', 'birth', 'queues', 'version', 'death')
        if row[2] == ARGV[3] and row[1] and row[3] and not row[6] then
            rows[#rows + 1] = {string.sub(key, 11), row[1], row[2], row[3], row[4] or '', row[5] or ''}
        end
    end
end
return {page[1], rows}
