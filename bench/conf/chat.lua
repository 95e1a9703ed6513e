-- One chat call, sent as fast as answers come. Arguments: file of the body, key, file of keys (or nothing).
-- The file of keys has a line `key model` per caller: requests then rotate over all of them, and the model's
-- name replaces @MODEL@ in the body.
local requests = {}
local index = 0

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function init(args)
  local body = read(args[1])
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  if args[3] and args[3] ~= "" then
    for key, model in read(args[3]):gmatch("(%S+) (%S+)\n") do
      wrk.headers["Authorization"] = "Bearer " .. key
      requests[#requests + 1] = wrk.format(nil, nil, nil, (body:gsub("@MODEL@", model)))
    end
  else
    wrk.headers["Authorization"] = "Bearer " .. args[2]
    requests[1] = wrk.format(nil, nil, nil, body)
  end
end

function request()
  index = index % #requests + 1
  return requests[index]
end

function done(summary, latency, _)
  local e = summary.errors
  print(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d, "non_2xx": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.timeout + e.status, e.status))
end
