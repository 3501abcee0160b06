-- SPDX-License-Identifier: EUPL-1.2
-- The load that wrk sends. LOAD_FILE holds the header lines, a blank line, then one request a line: method,
-- path, a token of its own or `-`, and the body, if any. They are sent in turn, again and again.
-- With LOAD_UNWRAP in the environment each asks for a wrapped answer, and what waits behind it is fetched next.
-- On finishing it prints one line of JSON; latencies are in microseconds.
local prepared, turn = {}, 0
local unwrap = os.getenv("LOAD_UNWRAP")
local waiting = {}

function init()
  local headers, in_head = {}, true
  if unwrap then headers["X-Vault-Wrap-TTL"] = "60" end
  for line in io.lines(os.getenv("LOAD_FILE")) do
    if in_head and line == "" then
      in_head = false
    elseif in_head then
      local name, value = line:match("^([^:]+): (.*)$")
      headers[name] = value
    else
      local method, path, token, body = line:match("^(%S+) (%S+) (%S+) ?(.*)$")
      if body == "" then body = nil end
      local usual = headers["X-Vault-Token"]
      if token ~= "-" then headers["X-Vault-Token"] = token end
      prepared[#prepared + 1] = wrk.format(method, path, headers, body)
      headers["X-Vault-Token"] = usual
    end
  end
end

function request()
  if #waiting > 0 then
    return wrk.format("POST", "/v1/sys/wrapping/unwrap", {["X-Vault-Token"] = table.remove(waiting)})
  end
  turn = turn % #prepared + 1
  return prepared[turn]
end

if unwrap then
  function response(status, headers, body)
    local token = body:match('"wrap_info":{"token":"([^"]+)"')
    if token then waiting[#waiting + 1] = token end
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%.0f,"p99":%.0f,"bad_status":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
