"""The table of faults. To add one, add a row here: what it is called, and a fault of faults.py or your own."""

from contextlib import nullcontext
from functools import partial

from benchmarks.faults import faults, judges, proxy, tenants
from benchmarks.faults.faults import api, api_watches, once, prometheus, spec_changes
from benchmarks.faults.measure import Rise, Row
from benchmarks.faults.scene import QUERY

number = partial(Row, section="Wrong numbers")
tenant = partial(Row, section="Another tenant", rise=Rise.DURING)
api_server = partial(Row, section="The Kubernetes API")
people = partial(Row, section="What people change")
prometheus_server = partial(Row, section="Prometheus", tells=True)
_LOGIN_PAGE = proxy.says(200, "<html>Please log in</html>", "text/html")
_MINUTES_5 = 300.0

ROWS = (
    number(name="no fault", fault=lambda _: nullcontext(), seconds=5, quick=True),
    number(name="the load falls from 150 to 90", fault=once(faults.load_falls), load=150, quick=True),
    number(name="somebody scales to 50", fault=once(faults.scaled_by_hand), seconds=45),
    number(name="a pause ends with 2 pods too many", fault=once(faults.pause_ends)),
    number(name="the watch on pods is silent", fault=faults.pods_unknown, load=40, quick=True),
    number(
        name="3 of 5 pods without samples",
        fault=faults.samples_missing,
        seconds=60,
        judge=judges.missing_samples_not_told,
    ),
    number(
        name="the wall clock jumps an hour ahead and back",
        fault=faults.clock_jumps,
        seconds=5,
        clock=True,
        judge=judges.window_cut,
    ),
    number(name="a node with 2 of 5 pods is lost", fault=faults.node_lost, seconds=40, judge=judges.lost_pods_not_told),
    tenant(
        name="a query with 130 regular expressions",
        fault=once(tenants.app(*tenants.queries(tenants.COSTLY_REGEX))),
        quick=True,
    ),
    tenant(name='a histogram with le="abc"', fault=tenants.histogram("0.1", "abc", "+Inf"), quick=True),
    tenant(name="a series without labels (null)", fault=tenants.metric_null),
    tenant(name="51 apps of 1.3 MB each", fault=once(tenants.huge_objects), seconds=30),
    tenant(
        name="16 queries of 3.9 s each",
        fault=once(tenants.app(*tenants.queries(*tenants.SLOW_QUERIES))),
        metrics=(QUERY,),
    ),
    tenant(name="528 queries", fault=once(tenants.many_queries), metrics=(QUERY,)),
    tenant(name="400 apps whose objects cannot be written", fault=tenants.failing_children),
    tenant(
        name="a histogram with 230,000 buckets", fault=tenants.histogram(*(str(number) for number in range(230_000)))
    ),
    tenant(name="4,000 half-sent requests to the metrics", fault=tenants.half_sent_requests),
    tenant(
        name="a LimitRange of 1500m memory", fault=once(tenants.odd_limit_range), seconds=40, judge=judges.limits_unread
    ),
    api_server(name="API server refuses connections for 20 s", tells=True, fault=faults.api_down),
    api_server(name="API server resets connections", tells=True, fault=api(proxy.reset), quick=True),
    api_server(name="API server: 500", tells=True, fault=api(proxy.says(500, "internal error"))),
    api_server(name="API server: 403", tells=True, fault=api(proxy.says(403, "forbidden"))),
    api_server(name="API server: 404", tells=True, fault=api(proxy.says(404, "not found"))),
    api_server(
        name="API server: 429, Retry-After: 1", tells=True, fault=api(proxy.says(429, "too many", Retry_After="1"))
    ),
    api_server(name="API server: a login page", tells=True, fault=api(_LOGIN_PAGE)),
    api_server(name="API server: cut answers", tells=True, fault=api(proxy.cut_short)),
    api_server(name="API server: 503 for 60 s", tells=True, fault=api(proxy.says(503, "unavailable")), seconds=60),
    api_server(name="API server is silent for 20 s", tells=True, fault=api(proxy.silent, holds=True), quick=True),
    api_server(
        name="API server is silent for 5 min",
        tells=True,
        fault=api(proxy.silent, holds=True),
        seconds=_MINUTES_5,
        patience_seconds=200,
    ),
    api_server(
        name="API server refuses connections for 5 min",
        tells=True,
        fault=faults.api_down,
        seconds=_MINUTES_5,
        patience_seconds=200,
    ),
    api_server(name="API server answers 2 s late for 30 s", tells=True, fault=api(proxy.late(2.0)), seconds=30),
    api_server(
        name="API server: an expired certificate", tells=True, tls=True, fault=faults.api_certificate("expired")
    ),
    api_server(
        name="API server: a certificate of an unknown authority",
        tells=True,
        tls=True,
        fault=faults.api_certificate("unknown"),
    ),
    api_server(name="a watch: ERROR 500", fault=api_watches(faults.status_event(500)), quick=True),
    api_server(
        name="a watch: cut JSON",
        fault=api_watches(proxy.says(200, '{"type":"MODIFIED","object":{"ki\n', "application/json")),
    ),
    api_server(
        name="a watch: Retry-After as a date",
        fault=api_watches(proxy.says(429, "too many", Retry_After="Wed, 21 Oct 2065 07:28:00 GMT")),
    ),
    api_server(name="the CRD is not served for 12 s", tells=True, fault=faults.crd_not_served, seconds=12, quick=True),
    api_server(name="the CRD is deleted and applied again", fault=faults.crd_deleted, namespaced=True),
    api_server(
        name="one of two served namespaces is deleted",
        tells=True,
        fault=once(faults.served_namespace_deleted),
        namespaced=True,
    ),
    api_server(name="the Lease is deleted", fault=once(faults.lease_deleted), seconds=10),
    api_server(name="another holder takes the Lease", tells=True, fault=once(faults.lease_taken), seconds=20),
    people(
        name="CPU request 500u with a new image",
        fault=once(spec_changes(image="shop:2", resources={"requests": {"cpu": "500u"}})),
        judge=judges.ready_with_old_spec,
    ),
    people(
        name="a variable with an emoji",
        fault=once(spec_changes(env=[{"name": "A", "value": "Hello 🌍"}])),
        judge=judges.variable_not_applied,
    ),
    people(name="a quota of 5 pods", fault=once(faults.quota_of_pods), judge=judges.quota_not_named),
    people(name="new pods cannot pull their image", fault=faults.images_missing, judge=judges.image_not_named),
    people(name="somebody patches the status", fault=once(faults.status_patched), judge=judges.status_stays_wrong),
    people(name="admission refuses the scaling for 2 min", fault=faults.writes_refused, rise=Rise.BEFORE, seconds=120),
    people(name="the Deployment is deleted", fault=once(faults.deployment_deleted), quick=True),
    people(name="the Deployment is paused", fault=once(faults.deployment_paused), judge=judges.pause_stays),
    prometheus_server(name="Prometheus refuses connections", fault=faults.prometheus_down),
    prometheus_server(name="Prometheus is silent", fault=prometheus(proxy.silent), quick=True),
    prometheus_server(name="Prometheus resets connections", fault=prometheus(proxy.reset)),
    prometheus_server(name="Prometheus: 503", fault=prometheus(proxy.says(503, "unavailable"))),
    prometheus_server(name="Prometheus: 401", fault=prometheus(proxy.says(401, "Unauthorized"))),
    prometheus_server(name="Prometheus: 403", fault=prometheus(proxy.says(403, "Forbidden"))),
    prometheus_server(name="Prometheus: a login page", fault=prometheus(_LOGIN_PAGE)),
    prometheus_server(
        name="Prometheus: a redirect to a login page", fault=prometheus(proxy.says(302, "", Location="/login"))
    ),
    prometheus_server(name="Prometheus: cut answers", fault=prometheus(proxy.cut_short)),
    prometheus_server(
        name="Prometheus: an expired certificate", tls=True, fault=faults.prometheus_certificate("expired")
    ),
    prometheus_server(
        name="Prometheus: a certificate of an unknown authority",
        tls=True,
        fault=faults.prometheus_certificate("unknown"),
    ),
    prometheus_server(
        name="Prometheus answers one byte at a time",
        fault=prometheus(proxy.dripping('{"status": "success", "data": {"resultType": "vector"}}', 1.0)),
    ),
)
