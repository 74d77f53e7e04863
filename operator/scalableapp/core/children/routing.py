"""What exposes the app: its Ingress or its HTTPRoute, and their status.

The HTTPRoute asks Gateways of others to lead to the app's Service; each of them answers in the route's status.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scalableapp.core.api.routing_fields import EVERY_HOST, Ingress, ParentRef, Route
from scalableapp.core.model import AppKey

Manifest = dict[str, Any]

INGRESS, HTTP_ROUTE = "Ingress", "HTTPRoute"
GATEWAY_GROUP = "gateway.networking.k8s.io"
API_VERSIONS = {INGRESS: "networking.k8s.io/v1", HTTP_ROUTE: f"{GATEWAY_GROUP}/v1"}
SERVICE_PORT = 80
_HTTPS_PORT = 443


class Exposure(NamedTuple):
    """Whether the Gateways route to the app: a CamelCase reason, and a message for the person on call."""

    accepted: bool
    reason: str
    message: str


def kind_of(entry_point: Ingress | Route | None) -> str | None:
    """The kind of object that an entry point is made of; None without one."""
    if entry_point is None:
        return None
    return HTTP_ROUTE if isinstance(entry_point, Route) else INGRESS


def ingress_spec(key: AppKey, ingress: Ingress) -> Manifest:
    """Spec of the Ingress."""
    backend = {"service": {"name": key.name, "port": {"name": "http"}}}
    rule: Manifest = {"http": {"paths": [{"path": ingress.path, "pathType": "Prefix", "backend": backend}]}}
    tls: Manifest = {"secretName": ingress.tls_secret_name}
    if ingress.host != EVERY_HOST:
        rule["host"] = ingress.host
        tls["hosts"] = [ingress.host]
    spec = {
        "ingressClassName": ingress.class_name,
        "rules": [rule],
        "tls": [tls] if ingress.tls_secret_name else None,
    }
    return {field: value for field, value in spec.items() if value}


def http_route_spec(key: AppKey, route: Route) -> Manifest:
    """Spec of the HTTPRoute."""
    rule: Manifest = {
        "matches": [{"path": {"type": "PathPrefix", "value": route.path}}],
        "backendRefs": [{"kind": "Service", "name": key.name, "port": SERVICE_PORT, "weight": 1}],
    }
    if route.request_timeout_seconds:
        rule["timeouts"] = {"request": f"{route.request_timeout_seconds}s"}
    return {
        "parentRefs": [_reference(parent) for parent in route.parent_refs],
        **({"hostnames": list(route.hostnames)} if route.hostnames else {}),
        "rules": [rule],
    }


def _reference(parent: ParentRef) -> Manifest:
    stated = parent.model_dump(by_alias=True, exclude_none=True)
    return {"group": GATEWAY_GROUP, "kind": "Gateway", **stated}


def slim_status(kind: str, body: Mapping[str, Any]) -> Manifest:
    """What is remembered of the status of an Ingress or an HTTPRoute."""
    status = body.get("status") or {}
    if kind == INGRESS:
        return {"loadBalancer": status.get("loadBalancer") or {}}
    return {"parents": status.get("parents") or []}


def url_of(key: AppKey, entry_point: Ingress | Route | None, status: Mapping[str, Any]) -> str:
    """Where the app answers, by the slim status of its Ingress or HTTPRoute; "" while that is nowhere."""
    if isinstance(entry_point, Route):
        return _route_url(key, entry_point, status.get("parents") or ())
    if entry_point is None:
        return ""
    host = _load_balancer(status) if entry_point.host == EVERY_HOST else entry_point.host
    scheme = "https" if entry_point.tls_secret_name else "http"
    return f"{scheme}://{host}{entry_point.path}" if host else ""


def _load_balancer(status: Mapping[str, Any]) -> str:
    points = (status.get("loadBalancer") or {}).get("ingress") or [{}]
    return str(points[0].get("hostname") or points[0].get("ip") or "")


def _route_url(key: AppKey, route: Route, parents: Sequence[Mapping[str, Any]]) -> str:
    """By the first host name and the first Gateway that routes to it.

    Only a Gateway knows whether a listener speaks HTTPS; port and name of it are what can be gone by here.
    """
    host = next((name for name in route.hostnames if not name.startswith("*")), "")
    leading = [parent for parent in route.parent_refs if _verdict(key, parent, parents).accepted]
    if not host or not leading:
        return ""
    port, section = leading[0].port, leading[0].section_name or ""
    https = port == _HTTPS_PORT or section.startswith("https")
    usual = _HTTPS_PORT if https else SERVICE_PORT
    place = host if port in (None, usual) else f"{host}:{port}"
    return f"{'https' if https else 'http'}://{place}{route.path}"


def exposure_of(
    key: AppKey, entry_point: Ingress | Route | None, status: Mapping[str, Any], missing: str
) -> Exposure | None:
    """What the Gateways report about the app's HTTPRoute; None for an app without one.

    `missing` says why the Gateway API cannot be used in this cluster, "" where it can.
    """
    if not isinstance(entry_point, Route):
        return None
    if missing:
        return Exposure(accepted=False, reason="GatewayAPIMissing", message=f"spec.route has no effect: {missing}")
    verdicts = [_verdict(key, parent, status.get("parents") or ()) for parent in entry_point.parent_refs]
    return next((verdict for verdict in verdicts if not verdict.accepted), verdicts[0])


def _verdict(key: AppKey, parent: ParentRef, parents: Sequence[Mapping[str, Any]]) -> Exposure:
    """What one Gateway reports. A condition may still be missing."""
    gateway, namespace = f"Gateway {_place(key, _reference(parent))}", parent.namespace or key.namespace
    command = f"kubectl get gateway -n {namespace} {parent.name} -o yaml"
    said = {entry.get("type"): entry for entry in _conditions(key, parent, parents)}
    for kind, reason, refusal in _REFUSALS:
        found = said.get(kind) or {}
        if found.get("status") == "False":
            why = f"{found.get('reason')}: {found.get('message') or 'no message'}"
            return Exposure(False, reason, f"{gateway} {refusal} HTTPRoute {key} ({why}); {command}")
    if (said.get("Accepted") or {}).get("status") == "True":
        return Exposure(True, "Accepted", f"{gateway} routes to the app")
    message = f"{gateway} has not reported on HTTPRoute {key}; does it exist, and does its controller run? {command}"
    return Exposure(False, "RoutePending", message)


_REFUSALS = (
    ("Accepted", "RouteNotAccepted", "does not accept"),
    ("ResolvedRefs", "RouteNotResolved", "cannot resolve the references of"),
)


def _conditions(key: AppKey, parent: ParentRef, parents: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The conditions of the status entries that are about this parent."""
    for entry in parents:
        if _place(key, entry.get("parentRef") or {}) == _place(key, _reference(parent)):
            yield from entry.get("conditions") or ()


def _place(key: AppKey, reference: Mapping[str, Any]) -> str:
    """A reference to a Gateway as text that distinguishes it from others."""
    place = f"{reference.get('namespace') or key.namespace}/{reference.get('name')}"
    section = f", listener {reference['sectionName']}" if reference.get("sectionName") else ""
    port = f", port {reference['port']}" if reference.get("port") else ""
    return f"{place}{section}{port}"
