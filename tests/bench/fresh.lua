-- SPDX-License-Identifier: Apache-2.0
-- wrk's script for functions like fresh.c: counts the processes that answered, and the requests that met one which had seen another.
wrk.method = "POST"
wrk.body = "{}"
wrk.headers["Content-Type"] = "application/json"

local processes, fresh, used, refused, waited = {}, 0, 0, 0, 0
local COUNT_EVERY = 16 -- requests; what the generator itself takes is taken from who is measured
local text, asked = nil, 0

response = function(status, headers, body)
    local process, seen = body:match('"process": ?"(%x+)".-"seen": ?(%d+)')
    if status ~= 200 or not process then
        refused = refused + 1
    else
        if not processes[process] then
            processes[process] = true
            fresh = fresh + 1
        end
        if seen ~= "1" then used = used + 1 end
        if headers["X-Faasd-Start"] ~= "warm" then waited = waited + 1 end
    end
end

-- One thread only (-t1), so that its counters are all there is; done() runs elsewhere, hence the file.
local threads = {}
setup = function(thread) table.insert(threads, thread) end
counts = function() return string.format('%d %d %d %d', fresh, used, refused, waited) end
report = ""
local total = 0
request = function()
    text = text or wrk.format()
    if asked % COUNT_EVERY == 0 then report = counts() end
    asked = asked + 1
    return text
end

done = function(summary, latency, requests)
    local fresh, used, refused, waited = threads[1]:get("report"):match("(%d+) (%d+) (%d+) (%d+)")
    io.write(string.format('RESULT {"rps": %f, "p50_us": %f, "p99_us": %f, "requests": %d, "fresh": %s, "used": %s, "refused": %s, "waited": %s}\n',
        summary.requests / (summary.duration / 1e6), latency:percentile(50), latency:percentile(99), summary.requests,
        fresh, used, refused, waited))
end
