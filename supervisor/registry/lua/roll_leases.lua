-- KEYS[1]: P:instances. Answers id and ms until the lease is over (negative: it is) of each instance.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 2, #answer, 2 do answer[i] = string.format('%.0f', tonumber(answer[i]) - now) end
return answer
