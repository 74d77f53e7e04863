"""Somebody else who sets an app's replicas again and again: who it is, by the managed fields of the Deployment."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from scalableapp.core.model import AppKey

# So often within so long is no slip of a hand.
TIMES = 3
WITHIN = timedelta(minutes=10)


class ReplicaSetting(NamedTuple):
    """Replicas that somebody else set: when it was seen, to what, and by which manager."""

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
    """Who sets the replicas again and again, in words; "" while nobody does."""
    counted = recent(replica_settings, now)
    if len(counted) < TIMES:
        return ""
    managers = sorted({replica_setting.manager for replica_setting in counted if replica_setting.manager})
    who = " and ".join(map(repr, managers)) or "somebody who goes through the scale subresource, as kubectl scale does,"
    return (
        f"{who} set the replicas of Deployment {key.namespace}/{key.name} {len(counted)} times in the last 10 minutes, "
        f"to {counted[-1].replicas} the last time, and each time they are set back; take replicas out of what it "
        "applies, or hold this ScalableApp by spec.scaling.paused"
    )
