"""Another manager that keeps setting an app's replicas: which one, by the managed fields of the Deployment."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from scalableapp.core.model import AppKey

# So often within so long is no slip of a hand.
TIMES = 3
WITHIN = timedelta(minutes=10)


class ReplicaSetting(NamedTuple):
    """Replicas set by another manager: when it was seen, the number, and which manager."""

    at: datetime
    replicas: int
    manager: str


def setter_of(deployment: Mapping[str, Any], ours: str) -> str:
    """The manager who set spec.replicas last, by managedFields; "" where they do not name one but us.

    Our own names begin with `ours`. Who goes through the scale subresource leaves no trace in some versions.
    """
    entries = [
        entry
        for entry in deployment["metadata"].get("managedFields") or ()
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        and not str(entry.get("manager", "")).startswith(ours)
    ]
    return str(max(entries, key=lambda entry: str(entry.get("time", "")))["manager"]) if entries else ""


def recent(replica_settings: Iterable[ReplicaSetting], now: datetime) -> tuple[ReplicaSetting, ...]:
    """Those that still count."""
    return tuple(replica_setting for replica_setting in replica_settings if abs(now - replica_setting.at) < WITHIN)


def contested(replica_settings: tuple[ReplicaSetting, ...], key: AppKey, now: datetime) -> str:
    """A message that names who keeps setting the replicas; "" while nobody does."""
    counted = recent(replica_settings, now)
    if len(counted) < TIMES:
        return ""
    managers = sorted({replica_setting.manager for replica_setting in counted if replica_setting.manager})
    who = " and ".join(map(repr, managers)) or "a user of the scale subresource, such as kubectl scale,"
    return (
        f"{who} set the replicas of Deployment {key.namespace}/{key.name} {len(counted)} times in the last 10 minutes, "
        f"most recently to {counted[-1].replicas}, and each change was reverted; remove replicas from what it applies, "
        "or set spec.scaling.paused"
    )
