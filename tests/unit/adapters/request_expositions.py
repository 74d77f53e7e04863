"""What serves request metrics, as series that rise each second: ten requests, one of which fails, two above 250 ms.

Of eight exporters it is what they really served (tests/data/exporters); of the others it is written after their
documentation. Each is in a namespace of its own, called like its row, and is about the app `web`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

POD = "web-6b9d5f8c7-x2x4z"
RECORDED = Path(__file__).parents[2] / "data" / "exporters"
_SECONDS = (("0.1", 8), ("0.25", 8), ("1", 10), ("+Inf", 10))
_MILLISECONDS = (("100", 8), ("250", 8), ("1000", 10), ("+Inf", 10))


class Rising(NamedTuple):
    """A counter: its name, its labels, and by how much it rises in a second."""

    name: str
    labels: dict[str, str]
    per_second: float


class Row(NamedTuple):
    """What one exporter serves, and the name of the request source for it."""

    source: str
    series: tuple[Rising, ...]
    has_durations: bool = True
    has_failures: bool = True


def requests(name: str, status: str, good: str, bad: str, **labels: str) -> tuple[Rising, ...]:
    return tuple(Rising(name, {**labels, status: value}, rate) for value, rate in ((good, 9), (bad, 1)))


def durations(name: str, buckets: Iterable[tuple[str, float]] = _SECONDS, **labels: str) -> tuple[Rising, ...]:
    return tuple(Rising(f"{name}_bucket", {**labels, "le": le}, rate) for le, rate in buckets)


def histogram(name: str, status: str, ms: bool = False, **labels: str) -> tuple[Rising, ...]:
    """A histogram whose _count is the counter of requests, by status."""
    good, bad = ("0.1", "0.25", "1"), (7, 7, 9)
    scale = 1000 if ms else 1
    of_good = [(f"{float(le) * scale:g}", rate) for le, rate in zip(good, bad, strict=True)] + [("+Inf", 9)]
    of_bad = [(le, 1) for le, _ in of_good]
    return (
        *durations(name, of_good, **labels, **{status: "200"}),
        *durations(name, of_bad, **labels, **{status: "503"}),
        *requests(f"{name}_count", status, "200", "503", **labels),
    )


def _recorded(source: str) -> tuple[Rising, ...]:
    text = (RECORDED / f"{source}.txt").read_text()
    families = text_string_to_metric_families(text)
    return tuple(
        Rising(sample.name, dict(sample.labels), sample.value) for family in families for sample in family.samples
    )


_LIVE = ("flask", "starlette", "fastapi", "django", "otel", "otel-ms", "express")
_RECORDED_ROWS = {
    **{f"{name}-live": Row(name, _recorded(name)) for name in _LIVE},
    "otel-aiohttp-live": Row("otel", _recorded("otel-aiohttp")),
    "fastapi-coarse": Row("default", _recorded("fastapi")),
}


USUAL_DURATION = "http_request_duration_seconds"
_OWNER = {"k8s_namespace_name": "otlp", "k8s_pod_name": POD, "namespace": "", "pod": ""}
_OF_PODS: dict[str, Row] = {
    **{
        name: Row("default", (*requests("http_requests_total", status, "200", "500"), *durations(USUAL_DURATION)))
        for name, status in (("promhttp", "code"), ("fiber", "status_code"), ("by-hand", "status"))
    },
    "gunicorn": Row(
        "gunicorn",
        (Rising("gunicorn_requests", {}, 10), Rising("gunicorn_request_status_200", {}, 9)),
        has_durations=False,
        has_failures=False,
    ),
    "slok": Row("express", histogram(USUAL_DURATION, "code", handler="/", service="web")),
    "spring": Row("spring", histogram("http_server_requests_seconds", "status", uri="/", outcome="SUCCESS")),
    **{
        name: Row(
            name,
            (
                *requests(f"{name}_requests_total", "code", "200", "502", url="/"),
                *durations(f"{name}_request_duration_seconds"),
            ),
        )
        for name in ("gin", "echo")
    },
    "yabeda": Row(
        "rails",
        (
            *requests("rails_requests_total", "status", "200", "500", controller="shop"),
            *durations("rails_request_duration_seconds"),
        ),
    ),
    "discourse": Row(
        "ruby",
        (
            *requests("ruby_http_requests_total", "status", "200", "500"),
            *durations("ruby_http_request_duration_seconds"),
        ),
    ),
    "discourse-summary": Row(
        "ruby",
        (
            *requests("ruby_http_requests_total", "status", "200", "500"),
            Rising("ruby_http_request_duration_seconds_count", {}, 10),
        ),
        has_durations=False,
    ),
    "rack": Row(
        "rack",
        (
            *requests("http_server_requests_total", "code", "200", "500", path="/"),
            *durations("http_server_request_duration_seconds"),
        ),
    ),
    "prometheus-net": Row(
        "dotnet",
        (*requests("http_requests_received_total", "code", "200", "500"), *histogram(USUAL_DURATION, "code")),
    ),
    "aspnet": Row("otel", histogram("http_server_request_duration_seconds", "http_response_status_code")),
    "otlp": Row(
        "otel-otlp", histogram("http_server_request_duration_seconds", "http_response_status_code", False, **_OWNER)
    ),
    "caddy": Row(
        "caddy",
        (
            *histogram("caddy_http_request_duration_seconds", "code", handler="subroute", server="srv0"),
            *histogram("caddy_http_request_duration_seconds", "code", handler="reverse_proxy", server="srv0"),
        ),
    ),
    "axum": Row(
        "axum",
        (
            *requests("axum_http_requests_total", "status", "200", "500", endpoint="/"),
            *durations("axum_http_requests_duration_seconds"),
        ),
    ),
}

_ISTIO_SERIES, _DURATION = "istio_requests_total", "istio_request_duration_milliseconds"
_WAYPOINT = {
    "reporter": "waypoint",
    "destination_workload": "web",
    "destination_workload_namespace": "ambient",
    "namespace": "ambient",
    "pod": "waypoint-1",
}
_HUBBLE = {
    "destination_namespace": "hubble",
    "destination_workload": "web",
    "namespace": "kube-system",
    "pod": "cilium-1",
}
_OF_MESHES: dict[str, Row] = {
    "istio": Row(
        "istio",
        (
            *requests(_ISTIO_SERIES, "response_code", "200", "503", reporter="destination"),
            *requests(_ISTIO_SERIES, "response_code", "200", "503", reporter="source"),
            *durations(_DURATION, _MILLISECONDS, reporter="destination"),
        ),
    ),
    "linkerd": Row(
        "linkerd",
        (
            *requests("response_total", "status_code", "200", "503", direction="inbound"),
            *requests("response_total", "status_code", "200", "503", direction="outbound"),
            *durations("response_latency_ms", _MILLISECONDS, direction="inbound"),
        ),
    ),
    "envoy": Row(
        "envoy",
        (
            *requests("envoy_cluster_upstream_rq_xx", "envoy_response_code_class", "2", "5"),
            *durations("envoy_cluster_upstream_rq_time", _MILLISECONDS),
        ),
    ),
    "knative": Row(
        "knative",
        (
            *requests("revision_request_count", "response_code", "200", "500"),
            *durations("revision_app_request_latencies", _MILLISECONDS),
        ),
    ),
    "ambient": Row(
        "istio-ambient",
        (
            *requests(_ISTIO_SERIES, "response_code", "200", "503", **_WAYPOINT),
            *durations(_DURATION, _MILLISECONDS, **_WAYPOINT),
        ),
    ),
    "hubble": Row(
        "hubble",
        (
            *requests("hubble_http_requests_total", "status", "200", "500", **_HUBBLE),
            *durations("hubble_http_request_duration_seconds", _SECONDS, **_HUBBLE),
        ),
    ),
}

_OF = {"namespace": "ingress", "pod": "proxy-1", "job": "ingress"}
_NGINX = _OF | {"exported_namespace": "ingress-nginx", "ingress": "web", "exported_service": "web"}
_F5 = _OF | {"resource_namespace": "f5", "pod_name": POD}
_TRAEFIK = _OF | {"service": "traefik-web-80@kubernetes"}
_CONTOUR = _OF | {"envoy_cluster_name": "contour_web_80"}
_KONG = _OF | {"service": "kong.web.80"}
_APISIX = _OF | {"route": "apisix_web_rule"}
_OF_INGRESSES: dict[str, Row] = {
    "ingress-nginx": Row(
        "ingress-nginx",
        (
            *requests("nginx_ingress_controller_requests", "status", "200", "503", **_NGINX),
            *durations("nginx_ingress_controller_request_duration_seconds", _SECONDS, **_NGINX),
        ),
    ),
    "f5": Row("nginx", histogram("nginx_ingress_controller_upstream_server_response_latency_ms", "code", True, **_F5)),
    "traefik": Row(
        "traefik",
        (
            *requests("traefik_service_requests_total", "code", "200", "503", **_TRAEFIK),
            *durations("traefik_service_request_duration_seconds", _SECONDS, **_TRAEFIK),
        ),
    ),
    "haproxy": Row(
        "haproxy",
        requests("haproxy_backend_http_responses_total", "code", "2xx", "5xx", proxy="haproxy_svc_web_http", **_OF),
        has_durations=False,
    ),
    "contour": Row(
        "contour",
        (
            *requests("envoy_cluster_upstream_rq_xx", "envoy_response_code_class", "2", "5", **_CONTOUR),
            *durations("envoy_cluster_upstream_rq_time", _MILLISECONDS, **_CONTOUR),
        ),
    ),
    "kong": Row(
        "kong",
        (
            *requests("kong_http_requests_total", "code", "200", "503", **_KONG),
            *durations("kong_request_latency_ms", _MILLISECONDS, **_KONG),
        ),
    ),
    "apisix": Row(
        "apisix",
        (
            *requests("apisix_http_status", "code", "200", "503", **_APISIX),
            *durations("apisix_http_latency", _MILLISECONDS, type="request", **_APISIX),
            *durations("apisix_http_latency", _MILLISECONDS, type="upstream", **_APISIX),
        ),
    ),
}


ROWS = _RECORDED_ROWS | _OF_PODS | _OF_MESHES | _OF_INGRESSES
