-- Who is in which roll, a page of it.
-- KEYS: P:roll:<id> from where the last page ended ... ARGV: cursor in the first, entries a page
-- Answers: how many rolls are done, cursor in the next, and for each entry: number of the roll, name
-- that was given, name as registered, process.
local answer = {0, ARGV[1]}
local at, cursor, seen, turns = 1, ARGV[1], 0, 0
while at <= #KEYS and seen < tonumber(ARGV[2]) and turns < 200 do
    local page = redis.call('HSCAN', KEYS[at], cursor, 'COUNT', ARGV[2])
    for i = 1, #page[2], 2 do
        local is_json, entry = pcall(cjson.decode, page[2][i + 1])
        if not is_json or type(entry) ~= 'table' then entry = {} end
        local name, process = entry.name, entry.process
        answer[#answer + 1] = at
        answer[#answer + 1] = page[2][i]
        answer[#answer + 1] = type(name) == 'string' and name or page[2][i]
        answer[#answer + 1] = type(process) == 'string' and process or ''
    end
    seen, turns, cursor = seen + #page[2] / 2, turns + 1, page[1]
    if cursor == '0' then at = at + 1 end
end
answer[1], answer[2] = at - 1, cursor
return answer
