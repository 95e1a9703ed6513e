-- Whole requests from a file, `\0` between them, sent in turns as fast as answers come. In each, eight `@` stand where
-- the JSON-RPC id goes: no two calls under way have the same.
local requests = {}
local turn = 0
local id = 10000000

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for text in file:read("*a"):gmatch("[^%z]+") do
    local first, last = text:find("@@@@@@@@", 1, true)
    requests[#requests + 1] = { text:sub(1, first - 1), text:sub(last + 1) }
  end
  file:close()
end

function request()
  turn = turn % #requests + 1
  id = id + 1
  local parts = requests[turn]
  return parts[1] .. id .. parts[2]
end

function done(summary, latency, _)
  local e = summary.errors
  print(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d, "non_2xx": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.timeout + e.status, e.status))
end
