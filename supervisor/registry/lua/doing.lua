-- KEYS: the hash of every worker that is asked for. ARGV: the field that says what it does. Answers
-- the fields' values; '' where there is none.
local values = {}
for i, key in ipairs(KEYS) do
    values[i] = redis.call('HGET', key, ARGV[1]) or ''
end
return values
