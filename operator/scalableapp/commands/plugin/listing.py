"""The table of `kubectl scalableapp list`."""

from collections.abc import Sequence
from datetime import datetime

from scalableapp.commands.console.output import Paint, table
from scalableapp.commands.plugin.apps import App, age, metric_text, number, reason

_HEAD = ("NAME", "MODE", "REPLICAS", "DESIRED", "MIN", "MAX", "METRIC", "READY", "REASON", "AGE")
_WIDE = ("SIZE", "SINCE", "URL")


def as_table(apps: Sequence[App], now: datetime, paint: Paint, *, namespaces: bool, wide: bool) -> str:
    """One line for each app, red where it is not ready; with their namespaces, and with more columns when wide."""
    head = (*(["NAMESPACE"] if namespaces else []), *_HEAD, *(_WIDE if wide else ()))
    rows = [
        (*([app["namespace"]] if namespaces else []), *_cells(app, now), *(_more(app, now) if wide else ()))
        for app in apps
    ]
    lines = table([head, *rows])
    colours = [paint["title"], *(_colour(app, paint) for app in apps)]
    return "\n".join(f"{colour}{line}{paint['end']}" for colour, line in zip(colours, lines, strict=True))


def _cells(app: App, now: datetime) -> tuple[str, ...]:
    counts = [number(app, name) for name in ("replicas", "desiredReplicas", "minReplicas", "maxReplicas")]
    ready = str(app.get("ready", "Unknown"))
    return (app["name"], app["mode"], *counts, metric_text(app), ready, reason(app), age(app.get("createdAt"), now))


def _more(app: App, now: datetime) -> tuple[str, ...]:
    return _size(app), age(app.get("decidedAt"), now), str(app.get("url", "<none>"))


def _size(app: App) -> str:
    """Requests of a pod: "cpu 250m, memory 128Mi"."""
    size = app.get("resources") or {}
    return ", ".join(f"{name} {amount['request']}" for name, amount in size.items() if "request" in amount) or "<none>"


def _colour(app: App, paint: Paint) -> str:
    return paint["bad"] if app.get("ready") == "False" else paint["dim"] if app["paused"] else ""
