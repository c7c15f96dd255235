-- SPDX-License-Identifier: Apache-2.0
-- wrk's script: a small POST again and again, and the result as one line of JSON.
wrk.method = "POST"
wrk.body = '{"name":"world"}'
wrk.headers["Content-Type"] = "application/json"

done = function(summary, latency, requests)
    local e = summary.errors
    io.write(string.format('RESULT {"rps": %f, "p50_us": %f, "p99_us": %f, "errors": %d}\n',
        summary.requests / (summary.duration / 1e6), latency:percentile(50), latency:percentile(99),
        e.connect + e.read + e.write + e.status + e.timeout))
end
