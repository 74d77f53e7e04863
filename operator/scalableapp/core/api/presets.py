"""The request sources that come with the operator, by name, and how they are recognised among a pod's metrics.

Names are those of the exporters at their defaults. docs/requests.md has them as a table.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from scalableapp.core.api.request_source import Duration, Failed, Labels, Per, RequestSource, Unit

DEFAULT = "default"
AUTO = "auto"
_MS = Unit.MILLISECONDS
_NO_HISTOGRAM = "this exporter has no histogram of request durations"


class Preset(NamedTuple):
    """A source that comes with the operator.

    `exporter` is what has these metrics by itself. `advice` says how to get the histogram, or what is possible without.
    """

    exporter: str
    source: RequestSource
    advice: str


def _preset(
    exporter: str,
    requests: str,
    status: str,
    duration: str = "",
    unit: Unit = Unit.SECONDS,
    *,
    values: str = "5..",
    where: str = "",
    durations_where: str = "",
    labels: Labels | None = None,
    app: str = "",
    advice: str = "",
) -> Preset:
    labels = labels or Labels()
    source = RequestSource(
        requests=requests,
        failed=Failed(label=status, values=values) if status else None,
        duration=Duration(metric=duration, unit=unit, where=durations_where) if duration else None,
        where=where,
        per=Per.APP if app else Per.POD,
        labels=labels,
        app=app or "$app",
    )
    return Preset(exporter, source, advice or f"make the exporter serve the histogram {duration or _NO_HISTOGRAM}")


_SECONDS = "http_request_duration_seconds"
_OTEL = "http_server_request_duration_seconds"

# Of those that share a metric the one that is recognised first comes first.
PRESETS: Mapping[str, Preset] = {
    DEFAULT: _preset(
        "Go promhttp, fiberprometheus, and others by hand", "http_requests_total", "code|status|status_code", _SECONDS
    ),
    "fastapi": _preset(
        "prometheus-fastapi-instrumentator",
        "http_requests_total",
        "status",
        "http_request_duration_highr_seconds",
    ),
    "flask": _preset(
        "prometheus-flask-exporter", "flask_http_request_total", "status", "flask_http_request_duration_seconds"
    ),
    "starlette": _preset(
        "starlette-exporter", "starlette_requests_total", "status_code", "starlette_request_duration_seconds"
    ),
    "django": _preset(
        "django-prometheus",
        "django_http_responses_total_by_status_total",
        "status",
        "django_http_requests_latency_including_middlewares_seconds",
        advice="add PrometheusBeforeMiddleware and PrometheusAfterMiddleware of django-prometheus to MIDDLEWARE",
    ),
    "gunicorn": _preset(
        "gunicorn's statsd with statsd_exporter",
        "gunicorn_requests",
        "",
        advice="gunicorn's statsd has no histogram by status; use prometheus-flask-exporter or OpenTelemetry in the "
        "app",
    ),
    "dotnet": _preset("prometheus-net", "http_requests_received_total", "code", _SECONDS),
    "spring": _preset(
        "Micrometer: Spring Boot, Quarkus",
        "http_server_requests_seconds_count",
        "status",
        "http_server_requests_seconds",
        advice="Spring Boot: set management.metrics.distribution.percentiles-histogram.http.server.requests=true. "
        "Quarkus: add a MeterFilter that sets percentilesHistogram(true)",
    ),
    "gin": _preset("go-gin-prometheus", "gin_requests_total", "code", "gin_request_duration_seconds"),
    "echo": _preset("echo-contrib", "echo_requests_total", "code", "echo_request_duration_seconds"),
    "rails": _preset("yabeda-rails", "rails_requests_total", "status", "rails_request_duration_seconds"),
    "ruby": _preset(
        "prometheus_exporter (Discourse)",
        "ruby_http_requests_total",
        "status",
        "ruby_http_request_duration_seconds",
        advice="start prometheus_exporter with --histogram",
    ),
    "rack": _preset("client_ruby's Rack collector", "http_server_requests_total", "code", _OTEL),
    "otel": _preset(
        "OpenTelemetry, ASP.NET Core 8 and newer",
        f"{_OTEL}_count",
        "http_response_status_code",
        _OTEL,
        advice="use the SDK's default aggregation, explicit_bucket_histogram, for http.server.request.duration",
    ),
    "otel-ms": _preset(
        "OpenTelemetry, old conventions",
        "http_server_duration_milliseconds_count",
        "http_status_code",
        "http_server_duration_milliseconds",
        _MS,
        advice="use the SDK's default aggregation, explicit_bucket_histogram, for http.server.duration",
    ),
    "otel-otlp": _preset(
        "OpenTelemetry by OTLP",
        f"{_OTEL}_count",
        "http_response_status_code",
        _OTEL,
        labels=Labels(namespace="k8s_namespace_name", pod="k8s_pod_name"),
        advice="use explicit_bucket_histogram for http.server.request.duration",
    ),
    "caddy": _preset(
        "Caddy",
        "caddy_http_request_duration_seconds_count",
        "code",
        "caddy_http_request_duration_seconds",
        where='handler=~"subroute|"',  # the others count what it passes on to them again
    ),
    "axum": _preset("axum-prometheus", "axum_http_requests_total", "status", "axum_http_requests_duration_seconds"),
    "express": _preset(
        "express-prom-bundle, NestJS, go-http-metrics", f"{_SECONDS}_count", "status_code|code", _SECONDS
    ),
    "istio": _preset(
        "Istio sidecar",
        "istio_requests_total",
        "response_code",
        "istio_request_duration_milliseconds",
        _MS,
        where='reporter="destination"',
    ),
    "linkerd": _preset(
        "Linkerd proxy", "response_total", "status_code", "response_latency_ms", _MS, where='direction="inbound"'
    ),
    "envoy": _preset(
        "Envoy sidecar",
        "envoy_cluster_upstream_rq_xx",
        "envoy_response_code_class",
        "envoy_cluster_upstream_rq_time",
        _MS,
        values="5",
    ),
    "knative": _preset(
        "Knative queue-proxy",
        "revision_request_count",
        "response_code",
        "revision_app_request_latencies",
        _MS,
    ),
    "istio-ambient": _preset(
        "Istio ambient waypoint",
        "istio_requests_total",
        "response_code",
        "istio_request_duration_milliseconds",
        _MS,
        where='reporter="waypoint"',
        labels=Labels(namespace="destination_workload_namespace", app="destination_workload"),
        app="$app",
    ),
    "hubble": _preset(
        "Cilium Hubble",
        "hubble_http_requests_total",
        "status",
        "hubble_http_request_duration_seconds",
        labels=Labels(namespace="destination_namespace", app="destination_workload"),
        app="$app",
    ),
    "ingress-nginx": _preset(
        "ingress-nginx",
        "nginx_ingress_controller_requests",
        "status",
        "nginx_ingress_controller_request_duration_seconds",
        labels=Labels(namespace="exported_namespace", app="ingress"),
        app="$app",
    ),
    "nginx": _preset(
        "F5 NGINX Ingress Controller",
        "nginx_ingress_controller_upstream_server_response_latency_ms_count",
        "code",
        "nginx_ingress_controller_upstream_server_response_latency_ms",
        _MS,
        labels=Labels(namespace="resource_namespace", pod="pod_name"),
        advice="start the controller with -enable-latency-metrics",
    ),
    "traefik": _preset(
        "Traefik",
        "traefik_service_requests_total",
        "code",
        "traefik_service_request_duration_seconds",
        labels=Labels(namespace="", app="service"),
        app="$namespace-$service-[0-9a-z]+@kubernetes",
        advice="set metrics.prometheus.addServicesLabels: true",
    ),
    "haproxy": _preset(
        "HAProxy Ingress",
        "haproxy_backend_http_responses_total",
        "code",
        values="5xx",
        labels=Labels(namespace="", app="proxy"),
        app="$namespace_svc_$service_[0-9a-z-]+",
        advice="HAProxy has only gauges of average durations; use the app's own metrics for latencies",
    ),
    "contour": _preset(
        "Contour",
        "envoy_cluster_upstream_rq_xx",
        "envoy_response_code_class",
        "envoy_cluster_upstream_rq_time",
        _MS,
        values="5",
        labels=Labels(namespace="", app="envoy_cluster_name"),
        app="$namespace_$service_[0-9a-z-]+",
    ),
    "kong": _preset(
        "Kong",
        "kong_http_requests_total",
        "code",
        "kong_request_latency_ms",
        _MS,
        labels=Labels(namespace="", app="service"),
        app=r"$namespace\.$service\.[0-9a-z-]+",
        advice="set latency_metrics: true in the Prometheus plugin; status_code_metrics: true has the requests",
    ),
    "apisix": _preset(
        "APISIX",
        "apisix_http_status",
        "code",
        "apisix_http_latency",
        _MS,
        durations_where='type="request"',
        labels=Labels(namespace="", app="route"),
        app="$namespace_$app_.*",
    ),
}

# What a pod's own metrics are looked through for. A mesh's sidecar counts beside the app's own exporter, which is
# nearer to what the app does; without one it is taken. Envoy counts what the app itself asks of others, too.
_SIDECARS = ("istio", "linkerd", "knative")
_FRAMEWORKS = ("fastapi", *(name for name in PRESETS if name not in ("fastapi", *_SIDECARS, "envoy")))
LOOKED_FOR = tuple(
    name for name in (*_FRAMEWORKS, *_SIDECARS) if PRESETS[name].source.labels == Labels() and name != "otel-otlp"
)


def _signs(name: str) -> frozenset[str]:
    """Metrics of which any shows that a pod has the source."""
    source = PRESETS[name].source
    fine = source.duration if name == "fastapi" else None
    return frozenset({f"{fine.metric}_count" if fine else source.requests})


SIGNS: frozenset[str] = frozenset().union(*map(_signs, LOOKED_FOR))


def recognised(served: Collection[str]) -> tuple[str, ...]:
    """The presets whose metrics are among those that an app's pods serve; several, where it is not clear which counts.

    An app that serves `http_requests_total` is one of preset `default`, whatever else it serves.
    """
    found = [name for name in LOOKED_FOR if not _signs(name).isdisjoint(served)]
    own = [name for name in found if name not in _SIDECARS] or found
    own = [name for number, name in enumerate(own) if not any(_same_exporter(name, before) for before in own[:number])]
    return (own[0],) if own and own[0] in (DEFAULT, "fastapi") else tuple(own)


def _same_exporter(name: str, other: str) -> bool:
    """Whether two presets share a metric, or are the two conventions that OpenTelemetry serves side by side."""
    return not _metrics(name).isdisjoint(_metrics(other)) or {name, other} == {"otel", "otel-ms"}


def _metrics(name: str) -> frozenset[str]:
    source = PRESETS[name].source
    return frozenset({source.requests, *([source.duration.metric] if source.duration else ())})
