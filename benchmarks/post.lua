-- Posts the body in the file that BENCHMARK_BODY names; prints one line of JSON at the end (times in microseconds).
local file = assert(io.open(os.getenv("BENCHMARK_BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
file:close()

done = function(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"max":%d,"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    failed.status, failed.connect, failed.read, failed.write, failed.timeout))
end
