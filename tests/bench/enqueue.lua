-- SPDX-License-Identifier: Apache-2.0
-- Queues calls with a small event; an answer that is not 202 is an error. The result line is report.lua's.
wrk.method = "POST"
wrk.body = '{"n":1}'
wrk.headers["Content-Type"] = "application/json"
local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(args)
    others = 0
end

function response(status)
    if status ~= 202 then
        others = others + 1
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    local bad = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    for _, thread in ipairs(threads) do
        bad = bad + thread:get("others")
    end
    io.write(string.format('RESULT {"rps": %.1f, "p50_us": %d, "p99_us": %d, "errors": %d}\n',
        summary.requests / summary.duration * 1e6, latency:percentile(50), latency:percentile(99), bad))
end
