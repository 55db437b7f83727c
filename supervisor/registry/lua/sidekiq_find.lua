-- One page of the search for Sidekiq processes, which choose their identities themselves.
-- KEYS[1]: processes. ARGV: cursor, members a page, hostnames that are ours ...
-- Answers the next cursor ('0' = done) and the processes of our hosts on this page: identity, pid,
-- hostname, started_at, queues, version.
-- A page reads only hashes whose identity begins like ours: "hostname:pid:nonce". What is compared
-- later is cut out of the text as it stands: a number that went through Lua would have lost digits.
local ours = {}
for i = 3, #ARGV do ours[ARGV[i]] = true end
local page = redis.call('SSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local rows = {}
for _, identity in ipairs(page[2]) do
    local host = string.match(identity, '^(.*):%d+:[^:]*$')
    local info = host and ours[host] and redis.pcall('HGET', identity, 'info')
    if type(info) == 'string' then
        local pid = string.match(info, '"pid":(%d+)')
        local started = string.match(info, '"started_at":([%d%.eE+-]+)')
        if pid and started and string.match(info, '"hostname":"([^"\\]*)"') == host then
            local queues = string.gsub(string.match(info, '"queues":%[([^%]]*)%]') or '', '"', '')
            rows[#rows + 1] = {identity, pid, host, started, queues,
                string.match(info, '"version":"([^"\\]*)"') or ''}
        end
    end
end
return {page[1], rows}
