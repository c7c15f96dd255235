-- SPDX-License-Identifier: Apache-2.0
-- wrk's script: one call again and again; an answer that is not the expected one is counted. Arguments after "--": the event, the answer.
local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(args)
    wrong = 0
    expected = args[2]
    wrk.method = "POST"
    wrk.body = args[1]
    text = wrk.format()
end

function request()
    return text
end

function response(status, headers, body)
    if status ~= 200 or body ~= expected then
        wrong = wrong + 1
        if wrong == 1 then
            sample = status .. " " .. body:sub(1, 200):gsub("[%c\"\\]", " ")
        end
    end
end

function done(summary, latency, requests)
    local e, bad, seen = summary.errors, 0, ""
    for _, thread in ipairs(threads) do
        bad = bad + thread:get("wrong")
        seen = thread:get("sample") or seen
    end
    io.write(string.format('RESULT {"calls": %d, "wrong": %d, "broken": %d, "sample": "%s"}\n', summary.requests, bad,
        e.connect + e.read + e.write + e.timeout, seen))
end
