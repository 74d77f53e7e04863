-- How wrk asks and what it tells: one line of JSON at its end.
-- ARGS: after how many answers to end (0: when the time is over); of how many products to ask for pages (0: the URL).

local answered, limit, pages = 0, 0, 0

function init(args)
  limit = tonumber(args[1]) or 0
  pages = tonumber(args[2]) or 0
  math.randomseed(1)
  if pages > 0 then
    -- Popular pages come first: half of the requests are for a quarter of the pages.
    request = function()
      return wrk.format("GET", "/products/" .. (math.floor(pages * math.random() ^ 2) + 1))
    end
  end
  if limit > 0 then
    response = function()
      answered = answered + 1
      if answered == limit then
        wrk.thread:stop()
        -- wrk itself would sleep until its time is over. Not at once, as it hears no SIGINT while it executes.
        os.execute("(sleep 0.1; kill -INT $PPID) &")
      end
    end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nWRK {"requests": %d, "microseconds": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, ' ..
    '"status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
