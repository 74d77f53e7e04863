"""The table of faults. To add one, add a Row: what it is called, its section, and a fault of faults.py or your own."""

from contextlib import nullcontext

from benchmarks.faults import faults, judges, proxy
from benchmarks.faults.faults import api, api_watches, histogram, once, prometheus, spec_changes, tenant_app
from benchmarks.faults.measure import Rise, Row
from benchmarks.faults.scene import QUERY

NUMBERS, TENANTS, API, WORDS, PROMETHEUS = (
    "Wrong numbers",
    "Another tenant",
    "The Kubernetes API",
    "What people change",
    "Prometheus",
)
_LOGIN_PAGE = proxy.says(200, "<html>Please log in</html>", "text/html")
_MINUTES_5 = 300.0

ROWS = (
    Row(name="no fault", section=NUMBERS, fault=lambda _: nullcontext(), seconds=5, quick=True),
    Row(name="the load falls from 150 to 90", section=NUMBERS, fault=once(faults.load_falls), load=150, quick=True),
    Row(name="somebody scales to 50", section=NUMBERS, fault=once(faults.scaled_by_hand), quick=True),
    Row(name="a pause ends with 2 pods too many", section=NUMBERS, fault=once(faults.pause_ends)),
    Row(name="the watch on pods is silent", section=NUMBERS, fault=faults.pods_unknown, load=40, quick=True),
    Row(
        name="3 of 5 pods without samples",
        section=NUMBERS,
        fault=faults.samples_missing,
        judge=judges.missing_samples_not_told,
    ),
    Row(
        name="a query with 130 regular expressions",
        section=TENANTS,
        fault=once(tenant_app(*faults.queries(faults.COSTLY_REGEX))),
        rise=Rise.DURING,
        quick=True,
    ),
    Row(
        name='a histogram with le="abc"',
        section=TENANTS,
        fault=histogram("0.1", "abc", "+Inf"),
        rise=Rise.DURING,
        quick=True,
    ),
    Row(name="a series without labels (null)", section=TENANTS, fault=faults.metric_null, rise=Rise.DURING),
    Row(name="51 apps of 1.3 MB each", section=TENANTS, fault=once(faults.huge_objects), rise=Rise.DURING, seconds=30),
    Row(
        name="16 queries of 3.9 s each",
        section=TENANTS,
        fault=once(tenant_app(*faults.queries(*faults.SLOW_QUERIES))),
        rise=Rise.DURING,
        metrics=(QUERY,),
    ),
    Row(
        name="400 apps whose objects cannot be written",
        section=TENANTS,
        fault=faults.failing_children,
        rise=Rise.DURING,
    ),
    Row(
        name="a histogram with 230,000 buckets",
        section=TENANTS,
        fault=histogram(*(str(number) for number in range(230_000))),
        rise=Rise.DURING,
    ),
    Row(
        name="4,000 half-sent requests to the metrics",
        section=TENANTS,
        fault=faults.half_sent_requests,
        rise=Rise.DURING,
    ),
    Row(
        name="a LimitRange of 1500m memory",
        section=TENANTS,
        fault=once(faults.odd_limit_range),
        rise=Rise.DURING,
        seconds=40,
        judge=judges.limits_unread,
    ),
    Row(name="API server refuses connections", section=API, fault=faults.api_down),
    Row(name="API server resets connections", section=API, fault=api(proxy.reset), quick=True),
    Row(name="API server: 500", section=API, fault=api(proxy.says(500, "internal error"))),
    Row(name="API server: 403", section=API, fault=api(proxy.says(403, "forbidden"))),
    Row(name="API server: 404", section=API, fault=api(proxy.says(404, "not found"))),
    Row(name="API server: 429, Retry-After: 1", section=API, fault=api(proxy.says(429, "too many", Retry_After="1"))),
    Row(name="API server: a login page", section=API, fault=api(_LOGIN_PAGE)),
    Row(name="API server: cut answers", section=API, fault=api(proxy.cut_short)),
    Row(name="API server: 503 for 60 s", section=API, fault=api(proxy.says(503, "unavailable")), seconds=60),
    Row(name="API server is silent", section=API, fault=api(proxy.silent, holds=True), quick=True),
    Row(
        name="API server is silent for 5 min",
        section=API,
        fault=api(proxy.silent, holds=True),
        seconds=_MINUTES_5,
        patience_seconds=200,
    ),
    Row(
        name="API server refuses connections for 5 min",
        section=API,
        fault=faults.api_down,
        seconds=_MINUTES_5,
        patience_seconds=200,
    ),
    Row(name="API server answers 2 s late for 30 s", section=API, fault=api(proxy.late(2.0)), seconds=30),
    Row(name="a watch: ERROR 500", section=API, fault=api_watches(faults.status_event(500)), quick=True),
    Row(
        name="a watch: cut JSON",
        section=API,
        fault=api_watches(proxy.says(200, '{"type":"MODIFIED","object":{"ki\n', "application/json")),
    ),
    Row(
        name="a watch: Retry-After as a date",
        section=API,
        fault=api_watches(proxy.says(429, "too many", Retry_After="Wed, 21 Oct 2065 07:28:00 GMT")),
    ),
    Row(name="the CRD is not served for 12 s", section=API, fault=faults.crd_not_served, seconds=12, quick=True),
    Row(name="the CRD is deleted and applied again", section=API, fault=faults.crd_deleted, namespaced=True),
    Row(
        name="one of two served namespaces is deleted",
        section=API,
        fault=once(faults.served_namespace_deleted),
        namespaced=True,
    ),
    Row(name="the Lease is deleted", section=API, fault=once(faults.lease_deleted), seconds=10),
    Row(name="another holder takes the Lease", section=API, fault=once(faults.lease_taken), seconds=20),
    Row(
        name="CPU request 500u with a new image",
        section=WORDS,
        fault=once(spec_changes(image="shop:2", resources={"requests": {"cpu": "500u"}})),
        judge=judges.ready_with_old_spec,
    ),
    Row(
        name="a variable with an emoji",
        section=WORDS,
        fault=once(spec_changes(env=[{"name": "A", "value": "Hello 🌍"}])),
        judge=judges.variable_not_applied,
    ),
    Row(
        name="a quota of 5 pods",
        section=WORDS,
        fault=once(faults.quota_of_pods),
        judge=judges.quota_not_named,
    ),
    Row(
        name="somebody patches the status",
        section=WORDS,
        fault=once(faults.status_patched),
        judge=judges.status_stays_wrong,
    ),
    Row(
        name="admission refuses the scaling for 30 s",
        section=WORDS,
        fault=faults.writes_refused,
        rise=Rise.BEFORE,
        seconds=30,
    ),
    Row(name="the Deployment is deleted", section=WORDS, fault=once(faults.deployment_deleted), quick=True),
    Row(
        name="the Deployment is paused",
        section=WORDS,
        fault=once(faults.deployment_paused),
        judge=judges.pause_stays,
    ),
    Row(name="Prometheus refuses connections", section=PROMETHEUS, fault=faults.prometheus_down, quick=True),
    Row(name="Prometheus is silent", section=PROMETHEUS, fault=prometheus(proxy.silent), quick=True),
    Row(name="Prometheus resets connections", section=PROMETHEUS, fault=prometheus(proxy.reset)),
    Row(name="Prometheus: 503", section=PROMETHEUS, fault=prometheus(proxy.says(503, "unavailable"))),
    Row(name="Prometheus: 401", section=PROMETHEUS, fault=prometheus(proxy.says(401, "Unauthorized"))),
    Row(name="Prometheus: 403", section=PROMETHEUS, fault=prometheus(proxy.says(403, "Forbidden"))),
    Row(name="Prometheus: a login page", section=PROMETHEUS, fault=prometheus(_LOGIN_PAGE)),
    Row(
        name="Prometheus: a redirect to a login page",
        section=PROMETHEUS,
        fault=prometheus(proxy.says(302, "", Location="/login")),
    ),
    Row(name="Prometheus: cut answers", section=PROMETHEUS, fault=prometheus(proxy.cut_short)),
    Row(
        name="Prometheus answers one byte at a time",
        section=PROMETHEUS,
        fault=prometheus(proxy.dripping('{"status": "success", "data": {"resultType": "vector"}}', 1.0)),
    ),
)
