-- For wrk: prints "requests seconds p50_us p99_us errors" when done; with the argument "unique" it
-- asks for another URL each time, below the one given.
local started = os.time()
local count = 0

function init(args)
  if args[1] == "unique" then
    local prefix = wrk.path .. started .. "-" .. args[2] .. "-"
    request = function()
      count = count + 1
      return wrk.format(nil, prefix .. count)
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format("report %d %.3f %d %d %d", summary.requests, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99), failed))
end
