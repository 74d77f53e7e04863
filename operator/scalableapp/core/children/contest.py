"""Another manager that keeps setting an app's replicas, or changing its status: which one, by managed fields."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from scalableapp.core.model import AppKey

# So often within so long is no slip of a hand.
TIMES = 3
WITHIN = timedelta(minutes=10)
# So many are remembered: who changes something all the time is known by then.
MOST = 50


class ReplicaSetting(NamedTuple):
    """Replicas set by another manager: when it was seen, the number, and which manager."""

    at: datetime
    replicas: int
    manager: str


class StatusChange(NamedTuple):
    """A status that another manager changed: when it was seen, and which manager."""

    at: datetime
    manager: str


_Seen = TypeVar("_Seen", ReplicaSetting, StatusChange)


def setter_of(deployment: Mapping[str, Any], ours: str) -> str:
    """The manager who set spec.replicas last, by managedFields; "" where they do not name one but us.

    Our own names begin with `ours`. Who goes through the scale subresource leaves no trace in some versions.
    """
    entries = others_entries(deployment, ours)
    return _last(entry for entry in entries if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {}))


def replicas_applied(deployment: Mapping[str, Any], manager: str) -> bool:
    """Whether `manager` has set spec.replicas by apply, so that applying without it would take it back."""
    entries = deployment["metadata"].get("managedFields") or ()
    return any(
        entry.get("manager") == manager
        and entry.get("operation") == "Apply"
        and "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        for entry in entries
    )


def status_setter_of(app: Mapping[str, Any], ours: str) -> str:
    """The manager other than us who changed the status last, by managedFields; "" where they do not name one."""
    return _last(entry for entry in others_entries(app, ours) if entry.get("subresource") == "status")


def editor_of(child: Mapping[str, Any], ours: str) -> str:
    """The manager other than us who set a field of the object itself last, by managedFields; "" where none is named."""
    return _last(entry for entry in others_entries(child, ours) if not entry.get("subresource"))


def additions(deployment: Mapping[str, Any], ours: str) -> str:
    """What others have set in the spec that we do not set, and who: it is in force, but nobody reverts it."""
    entries = deployment["metadata"].get("managedFields") or ()
    own = {path for entry in entries if _is(entry, ours) for path in _spec_paths(entry)}
    found = [
        f"{entry.get('manager')!r} set {path}"
        for entry in others_entries(deployment, ours)
        for path in _spec_paths(entry)
        if path not in own and path not in _NOT_ADDED
    ]
    return ", ".join(dict.fromkeys(found[:_MOST_ADDITIONS]))


# Replicas are told of by `contested`; the annotation is how kubectl rollout restart works.
_ANNOTATIONS = "spec.template.metadata.annotations"
_NOT_ADDED = {"spec.replicas", _ANNOTATIONS, f"{_ANNOTATIONS}.kubectl.kubernetes.io/restartedAt"}
_MOST_ADDITIONS = 5


def _spec_paths(entry: Mapping[str, Any]) -> Iterator[str]:
    """Fields of spec in an entry of managedFields, down to the first list or map of any keys."""
    fields = (entry.get("fieldsV1") or {}).get("f:spec")
    return _paths(fields, "spec") if fields and not entry.get("subresource") else iter(())


def _paths(fields: Mapping[str, Any], path: str) -> Iterator[str]:
    if not fields or not all(name.startswith("f:") for name in fields):
        yield path
        return
    for name, inner in fields.items():
        yield from _paths(inner, f"{path}.{name.removeprefix('f:')}")


def others_entries(body: Mapping[str, Any], ours: str) -> list[Mapping[str, Any]]:
    """The managed fields of others than us; our own names begin with `ours`."""
    entries = body["metadata"].get("managedFields") or ()
    return [entry for entry in entries if not _is(entry, ours)]


def _is(entry: Mapping[str, Any], manager: str) -> bool:
    return str(entry.get("manager", "")).startswith(manager)


def _last(entries: Iterable[Mapping[str, Any]]) -> str:
    found = max(entries, key=lambda entry: str(entry.get("time", "")), default={})
    return str(found.get("manager", ""))


def recent(seen: Iterable[_Seen], now: datetime) -> tuple[_Seen, ...]:
    """The last of those that still count."""
    return tuple(entry for entry in seen if abs(now - entry.at) < WITHIN)[-MOST:]


def contested(replica_settings: tuple[ReplicaSetting, ...], key: AppKey, now: datetime) -> str:
    """A message that names who keeps setting the replicas; "" while nobody does."""
    counted = recent(replica_settings, now)
    if len(counted) < TIMES:
        return ""
    who = _names(counted) or "a user of the scale subresource, such as kubectl scale,"
    return (
        f"{who} set the replicas of Deployment {key.namespace}/{key.name} {_times(counted)} in the last 10 minutes, "
        f"most recently to {counted[-1].replicas}, and each change was reverted; remove replicas from what it applies, "
        "or set spec.scaling.paused"
    )


# How to leave replicas to us, by the manager that sets them: Argo CD, Flux, Helm.
_MENDS = {
    "argocd": "leave replicas out of Git, or set ignoreDifferences for /spec/replicas with the sync option "
    "RespectIgnoreDifferences=true",
    "kustomize-controller": "leave replicas out of Git: Flux applies what its source states",
    "helm": "leave replicas out of the chart's template, as charts do with autoscaling.enabled",
    "kubectl": "leave replicas out of the manifest that is applied",
}


def owned_elsewhere(settings: tuple[ReplicaSetting, ...], workload: str) -> str:
    """A message that names who keeps setting the replicas of a workload, and how they leave them to us."""
    who, last = _names(settings) or "somebody who uses the scale subresource", settings[-1]
    manager = last.manager.lower()
    mend = next((text for name, text in _MENDS.items() if name in manager), "remove replicas from what it applies")
    return (
        f"{who} set the replicas of {workload} {_times(settings)} in 10 minutes, most recently to {last.replicas}; "
        f"nothing is written for 10 minutes: {mend}"
    )


def status_contested(changes: tuple[StatusChange, ...], key: AppKey, now: datetime) -> str:
    """A message that names who keeps changing the status; "" while nobody does."""
    counted = recent(changes, now)
    if len(counted) < TIMES:
        return ""
    return (
        f"{_names(counted) or 'another manager'} changed the status of ScalableApp {key} {_times(counted)} in the "
        "last 10 minutes, and each change was reverted; only the operator writes it: stop the other manager, or take "
        "away its right to scalableapps/status"
    )


def _times(seen: tuple[object, ...]) -> str:
    return f"{len(seen)} times" if len(seen) < MOST else f"at least {MOST} times"


def _names(seen: Iterable[ReplicaSetting | StatusChange]) -> str:
    return " and ".join(map(repr, sorted({entry.manager for entry in seen if entry.manager})))
