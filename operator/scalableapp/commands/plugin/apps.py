"""The ScalableApps of a cluster as the commands tell of them: one flat record each, from spec and status alone."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from scalableapp.core.explain import duration
from scalableapp.core.quantity import parse_target
from scalableapp.core.size import read_size, size_fields
from scalableapp.ports import Manifest

App = dict[str, Any]


def app_record(manifest: Manifest) -> App:
    """What there is to tell of one app, under status' own names where it has them; what is not known is left out."""
    metadata, spec, status = manifest["metadata"], manifest.get("spec") or {}, manifest.get("status") or {}
    scaling, decision = spec.get("scaling") or {}, status.get("decision") or {}
    horizontal = scaling.get("horizontal") or {}
    ready: Manifest = next((entry for entry in status.get("conditions") or () if entry.get("type") == "Ready"), {})
    record = {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "mode": scaling.get("mode", "Horizontal"),
        "paused": bool(scaling.get("paused")),
        "replicas": status.get("replicas"),
        "readyReplicas": status.get("readyReplicas"),
        "desiredReplicas": status.get("desiredReplicas"),
        "minReplicas": horizontal.get("minReplicas", 1),
        "maxReplicas": horizontal.get("maxReplicas", 10),
        "metric": leading_metric(status.get("metrics") or ()),
        "reason": decision.get("reason"),
        "message": decision.get("message"),
        "decidedAt": decision.get("time"),
        "ready": ready.get("status"),
        "readyReason": ready.get("reason"),
        "resources": (status.get("resources") or {}).get("current") or _stated_size(spec) or None,
        "url": status.get("url"),
        "createdAt": metadata.get("creationTimestamp"),
    }
    return {name: value for name, value in record.items() if value is not None}


def _stated_size(spec: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The size of the pods by the spec, as status tells it where sizes are decided on; nothing if it cannot be read."""
    try:
        return size_fields(read_size(spec.get("resources")))
    except ValueError:
        return {}


def leading_metric(metrics: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The metric that is nearest to its target, or furthest beyond it: name, current, target, and their ratio."""
    measured = [(_ratio(entry), entry) for entry in metrics]
    if not measured:
        return None
    ratio, entry = max(measured, key=lambda pair: -1.0 if pair[0] is None else pair[0])
    record = {name: str(entry.get(name, "")) for name in ("name", "current", "target")}
    return record if ratio is None else {**record, "ratio": round(ratio, 3)}


def _ratio(entry: Mapping[str, Any]) -> float | None:
    try:
        return parse_target(str(entry["current"])) / parse_target(str(entry["target"]))
    except (KeyError, ValueError, ZeroDivisionError):
        return None


def metric_text(app: App) -> str:
    """The leading metric in words: "RequestsPerSecond 5.84/16"."""
    metric = app.get("metric")
    return f"{metric['name']} {metric['current']}/{metric['target']}" if metric else "<none>"


def ratio(app: App) -> float | None:
    """The leading metric's share of its target."""
    number = (app.get("metric") or {}).get("ratio")
    return None if number is None else float(number)


def reason(app: App) -> str:
    """Why it has the replicas it has; while it is not Ready, why that is."""
    if app.get("ready") == "False":
        return str(app.get("readyReason"))
    return "Paused" if app["paused"] else str(app.get("reason", app.get("readyReason", "<none>")))


def number(app: App, name: str) -> str:
    """A count, "?" while the operator has not told it."""
    return str(app.get(name, "?"))


def age(text: object, now: datetime) -> str:
    """How long ago a time of the API was, as kubectl writes it: "45s", "3m20s", "5h", "12d"."""
    try:
        seconds = (now - datetime.fromisoformat(str(text))).total_seconds()
    except ValueError:
        return "<none>"
    if seconds >= 2 * 86_400:
        return f"{seconds // 86_400:.0f}d"
    return duration(int(seconds)).replace(" ", "")
