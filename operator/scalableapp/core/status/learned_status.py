"""What an objective has learned, as a few numbers in status: a restart goes on from them, and replays the rest."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from scalableapp.core.learning.capacity import Capacity
from scalableapp.core.learning.objective import Learned
from scalableapp.core.learning.trial import NO_TRIAL, Before, Trial


def write_learned(learned: Learned) -> dict[str, Any] | None:
    """None before anything was learned. Rounded, so that noise is no reason to write."""
    capacity, trial = learned.capacity, _trial(learned.trial)
    if capacity is None and trial is None:
        return None
    written: dict[str, Any] = {"price": round(learned.log_price, 1), "trial": trial}
    if capacity:
        written |= {
            "capacity": _rounded(capacity.log_trusted),
            "carried": _rounded(capacity.carried),
            "tooMuch": _rounded(capacity.too_much),
        }
    return {field: value for field, value in written.items() if value is not None}


def read_learned(entry: object) -> Learned:
    """What was written; nothing learned where it cannot be read."""
    if not isinstance(entry, Mapping):
        return Learned()
    try:
        return Learned(
            capacity=_capacity(entry), log_price=float(entry["price"]), trial=_read_trial(entry.get("trial"))
        )
    except (KeyError, TypeError, ValueError):
        return Learned()


def _rounded(log: float) -> float | None:
    """Requests per second to two digits; None for no bound."""
    return float(f"{math.exp(log):.2g}") if math.isfinite(log) else None


def _capacity(entry: Mapping[str, Any]) -> Capacity | None:
    if "capacity" not in entry:
        return None
    trusted = math.log(float(entry["capacity"]))
    carried = math.log(float(entry["carried"])) if "carried" in entry else -math.inf
    too_much = math.log(float(entry["tooMuch"])) if "tooMuch" in entry else math.inf
    return Capacity(trusted, trusted, carried, carried, too_much)


def _trial(trial: Trial) -> dict[str, Any] | None:
    before = trial.before
    if before is None:
        return None
    until = {} if trial.until is None else {"until": _text(trial.until), "waitSeconds": round(trial.wait)}
    return {
        "replicas": before.pods,
        "load": float(f"{before.load:.3g}"),
        "slowShare": round(before.slow_share, 3),
        "requests": round(before.requests),
        "served": float(f"{before.served:.3g}"),
        **until,
    }


def _read_trial(entry: object) -> Trial:
    if not isinstance(entry, Mapping):
        return NO_TRIAL
    load, share, served = (float(entry[field]) for field in ("load", "slowShare", "served"))
    before = Before(int(entry["replicas"]), load, share, float(entry["requests"]), served)
    if "until" not in entry:
        return Trial(before=before)
    return Trial(before=before, until=_seconds(entry["until"]), wait=float(entry["waitSeconds"]))


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
