-- Routes requests by a table that the controller replaces while nginx serves.
--
-- The table, as JSON:
--   hosts: {HOST: {exact: {PATH: ROUTE}, prefixes: [[PREFIX, ROUTE], ...longest first]}}, where HOST may be "*.DOMAIN" or ""
--   ROUTE: {ingress: "NAMESPACE/NAME", backend: KEY, method: "round_robin" | "least_conn", and where asked for
--     redirect: true (to HTTPS), close: true (no connection to a pod is used twice),
--     limit: {zone: TEXT, rate: requests per second, burst: COUNT, delay: COUNT, code: STATUS}}
--   backends: {KEY: [[ADDRESS, PORT], ...]}: the pods that are ready
--   certificates: {HOST: {certificate: PEM, key: PEM}}

local balancer = require "ngx.balancer"
local cjson = require "cjson.safe"
local ssl = require "ngx.ssl"

local MAX_RETRIES = 2
-- The controller says that it is alive every 10 s.
local ALIVE_SECONDS = 60

local _M = {}

local current = nil -- the table in use
local turns = {} -- backend's key -> which of its pods was chosen last
local active = {} -- "ADDRESS:PORT" -> requests under way
local last_word = 0 -- when the controller was last heard
local limits = ngx.shared.limits -- zone and client -> what it is ahead of its rate, and since when

local function parse_certificates(pairs_of_pem)
    local parsed = {}
    for host, pem in pairs(pairs_of_pem) do
        local certificate, problem = ssl.parse_pem_cert(pem.certificate)
        local key, key_problem = ssl.parse_pem_priv_key(pem.key)
        if certificate and key then
            parsed[host] = { certificate = certificate, key = key }
        else
            ngx.log(ngx.ERR, "certificate of ", host, " left out: ", problem or key_problem)
        end
    end
    return parsed
end

local function read_table(path)
    local file, problem = io.open(path)
    if not file then
        return nil, problem
    end
    local text = file:read("*a")
    file:close()
    local new
    new, problem = cjson.decode(text)
    if not new then
        return nil, problem
    end
    if not (new.hosts and new.backends and new.certificates) then
        return nil, "hosts, backends or certificates are missing"
    end
    new.certificates = parse_certificates(new.certificates)
    return new
end

local function answer(status, text)
    ngx.status = status
    ngx.header.content_type = "text/plain"
    ngx.say(text)
end

-- A worker that takes the place of a crashed one goes on with the table it had.
function _M.start(path)
    math.randomseed(ngx.time() + ngx.worker.pid())
    last_word = ngx.now()
    current = read_table(path)
end

function _M.take(path)
    local new, problem = read_table(path)
    if not new then
        return answer(400, "the table in use stays: " .. problem)
    end
    current = new
    for key in pairs(turns) do
        if not new.backends[key] then
            turns[key] = nil
        end
    end
    last_word = ngx.now()
    answer(200, "taken")
end

function _M.alive()
    last_word = ngx.now()
    answer(200, "ok")
end

function _M.healthz()
    local silent = ngx.now() - last_word
    if silent > ALIVE_SECONDS then
        return answer(503, "the controller has not been heard for " .. silent .. " s")
    end
    answer(200, "ok")
end

function _M.readyz()
    if not current then
        return answer(503, "no routing table yet")
    end
    answer(200, "ok")
end

local function find_path(host, uri)
    if not host then
        return nil
    end
    local route = host.exact[uri]
    if route then
        return route
    end
    for _, entry in ipairs(host.prefixes) do
        local prefix = entry[1]
        if uri == prefix or uri:sub(1, #prefix + 1) == prefix .. "/" then
            return entry[2]
        end
    end
end

local function wildcard(host)
    return (host:gsub("^[^.]+", "*", 1))
end

-- The leaky bucket of nginx's own limit_req, whose zones and rates cannot change while it serves: requests that a
-- client is ahead of its rate leak away; more of them than the burst are refused, and not counted.
local function limit_requests(limit)
    local now, place = ngx.now(), limit.zone .. " " .. ngx.var.binary_remote_addr
    local excess, since = 0, limits:get(place)
    if since then
        local ahead, at = since:match("^(%S+) (%S+)$")
        excess = math.max(0, ahead - (now - at) * limit.rate + 1)
    end
    if excess > limit.burst then
        return ngx.exit(limit.code)
    end
    -- Once all has leaked away the client is as good as new.
    limits:set(place, string.format("%.3f %.3f", excess, now), (excess + 1) / limit.rate + 0.1)
    if excess > limit.delay then
        ngx.sleep((excess - limit.delay) / limit.rate)
    end
end

function _M.route()
    if not current then
        return ngx.exit(503)
    end
    local host, uri, hosts = ngx.var.host, ngx.var.uri, current.hosts
    local route = find_path(hosts[host], uri) or find_path(hosts[wildcard(host)], uri) or find_path(hosts[""], uri)
    if not route then
        return ngx.exit(404)
    end
    ngx.var.ingress = route.ingress
    if route.redirect and ngx.var.scheme == "http" then
        return ngx.redirect("https://" .. host .. ngx.var.request_uri, 301)
    end
    if route.limit then
        limit_requests(route.limit)
    end
    if route.close then
        ngx.var.upstream_connection = "close"
    end
    local pods = current.backends[route.backend]
    if not pods or #pods == 0 then
        return ngx.exit(503)
    end
    ngx.ctx.route = route
    ngx.ctx.pods = pods
    ngx.ctx.tried = {}
end

local function name(pod)
    return pod[1] .. ":" .. pod[2]
end

local function release(context)
    local pod = context.pod
    if pod then
        local count = (active[pod] or 1) - 1
        active[pod] = count > 0 and count or nil
        context.pod = nil
    end
end

-- Pods are looked at in turn, from the one after the last chosen: round_robin takes the first that was not tried yet,
-- least_conn the least busy of them.
local function choose(context)
    local pods, key, tried = context.pods, context.route.backend, context.tried
    local last = turns[key] or math.random(#pods)
    local best, fewest, place
    for offset = 0, #pods - 1 do
        local index = (last + offset) % #pods + 1
        local pod = pods[index]
        local busy = active[name(pod)] or 0
        if not tried[name(pod)] and (not best or busy < fewest) then
            best, fewest, place = pod, busy, index
            if context.route.method == "round_robin" then
                break
            end
        end
    end
    turns[key] = place or last
    return best or pods[last % #pods + 1]
end

function _M.balance()
    local context = ngx.ctx
    if not next(context.tried) then
        local more = math.min(#context.pods - 1, MAX_RETRIES)
        if more > 0 then
            balancer.set_more_tries(more)
        end
    end
    release(context)
    local pod = choose(context)
    local pod_name = name(pod)
    context.pod = pod_name
    context.tried[pod_name] = true
    active[pod_name] = (active[pod_name] or 0) + 1
    local ok, problem = balancer.set_current_peer(pod[1], pod[2])
    if not ok then
        ngx.log(ngx.ERR, "cannot proxy to ", pod_name, ": ", problem)
        return ngx.exit(502)
    end
end

function _M.finish()
    release(ngx.ctx)
end

function _M.certificate()
    local host = ssl.server_name()
    if not (host and current) then
        return
    end
    host = host:lower()
    local found = current.certificates[host] or current.certificates[wildcard(host)]
    if not found then
        return
    end
    ssl.clear_certs()
    ssl.set_cert(found.certificate)
    ssl.set_priv_key(found.key)
end

return _M
