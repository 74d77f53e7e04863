"""The account of one app: what status and Events say, chosen and put in order. Never in other words than theirs."""

from collections.abc import Iterator, Mapping
from typing import Any

from scalableapp.commands.explain.reader import Found, last_seen
from scalableapp.ports import Manifest

Explanation = dict[str, Any]


def explanation(found: Found) -> Explanation:
    """What there is to tell, as JSON and YAML show it: the parts of status under their own names."""
    metadata, status = found.app["metadata"], found.app.get("status") or {}
    scaling = (found.app.get("spec") or {}).get("scaling") or {}
    horizontal = scaling.get("horizontal") or {}
    fields = {
        "app": f"{metadata['namespace']}/{metadata['name']}",
        "mode": scaling.get("mode"),
        "minReplicas": horizontal.get("minReplicas"),
        "maxReplicas": horizontal.get("maxReplicas"),
        **{name: status.get(name) for name in _OF_STATUS},
        "hpas": [_hpa(hpa) for hpa in found.hpas] or None,
        "events": [_event(event) for event in found.events],
        "notes": [*found.notes, *_notes(metadata, status)],
    }
    return {name: value for name, value in fields.items() if value is not None}


_OF_STATUS = (
    "replicas",
    "readyReplicas",
    "desiredReplicas",
    "url",
    "lastScaleTime",
    "decision",
    "metrics",
    "conditions",
)


def _hpa(hpa: Manifest) -> Explanation:
    """What another autoscaler of the target would have, to be compared with the decision."""
    spec, status = hpa["spec"], hpa.get("status") or {}
    fields = {
        "name": hpa["metadata"]["name"],
        "minReplicas": spec.get("minReplicas", 1),
        "maxReplicas": spec["maxReplicas"],
        "currentReplicas": status.get("currentReplicas"),
        "desiredReplicas": status.get("desiredReplicas"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _event(event: Manifest) -> Explanation:
    named = {name: event.get(name) for name in ("type", "reason", "message")}
    return {"time": last_seen(event), **named, "count": event.get("count") or 1}


def _notes(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[str]:
    """What is missing from the status, and why."""
    if not status:
        yield "the operator has not reported on it yet; kubectl logs -n scalableapp-system deploy/scalableapp-operator"
    elif status.get("observedGeneration") != metadata.get("generation"):
        yield (
            f"this describes generation {status.get('observedGeneration')}; the operator has not acted on the last "
            f"change of the spec, generation {metadata.get('generation')}, yet"
        )
    if status and "decision" not in status:
        messages = {entry["type"]: entry["message"] for entry in status.get("conditions") or ()}
        yield f"nothing has been decided yet: {messages.get('Ready', 'the operator has not evaluated it')}"
