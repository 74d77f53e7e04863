"""What `kubectl scalableapp top` shows: one row for each app, drawn as plain text or by rich."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from scalableapp.commands.console.output import table
from scalableapp.commands.plugin.apps import App, age, metric_text, number, ratio, reason
from scalableapp.core.explain import count

if TYPE_CHECKING:
    from rich.console import RenderableType

HEAD = ("APP", "MODE", "REPLICAS", "READY", "MIN", "MAX", "METRIC", "UTILISATION", "REASON", "DECIDED")
BAR_CELLS = 12
# Title, head, frame and the line below.
_LINES_AROUND = 7
# More than this share of the target asks for more pods, by autoscaling/v2's tolerance.
_OVER, _NEAR = 1.1, 0.9

ORDERS: dict[str, Callable[[App], tuple[object, ...]]] = {
    "load": lambda app: (-(ratio(app) or 0.0), app["namespace"], app["name"]),
    "replicas": lambda app: (-app.get("replicas", 0), app["namespace"], app["name"]),
    "name": lambda app: (app["namespace"], app["name"]),
}


class TopView(NamedTuple):
    """The apps at a moment, in order, with where they are, notes and the last error."""

    apps: Sequence[App]
    now: datetime
    where: str
    notes: Sequence[str] = ()
    error: str = ""

    @property
    def title(self) -> str:
        """How many there are, where, and when that was."""
        replicas = sum(app.get("replicas", 0) for app in self.apps)
        return f"{self.where}: {count(len(self.apps), 'app')}, {count(replicas, 'replica')}, {self.now:%H:%M:%S} UTC"


def bar(share: float | None, cells: int = BAR_CELLS) -> str:
    """A metric's share of its target as a bar, full at the target, and the share in percent."""
    if share is None:
        return ""
    filled = min(cells, max(0, round(share * cells)))
    return f"{'█' * filled}{'░' * (cells - filled)} {share:4.0%}"


def cells(app: App, now: datetime) -> tuple[str, ...]:
    """One row under HEAD."""
    current, desired = number(app, "replicas"), number(app, "desiredReplicas")
    return (
        f"{app['namespace']}/{app['name']}",
        app["mode"],
        current if current == desired else f"{current} -> {desired}",
        number(app, "readyReplicas"),
        number(app, "minReplicas"),
        number(app, "maxReplicas"),
        metric_text(app),
        bar(ratio(app)),
        reason(app),
        f"{age(app.get('decidedAt'), now)} ago" if "decidedAt" in app else "<none>",
    )


def as_text(view: TopView) -> str:
    """The view for what is no terminal."""
    return "\n".join((view.title, *view.notes, "", *table([HEAD, *(cells(app, view.now) for app in view.apps)])))


def as_panel(view: TopView, height: int) -> "RenderableType":
    """The view for a terminal of so many lines; apps beyond them are counted."""
    from rich import box  # noqa: PLC0415 - rich is an extra, which plain output does without
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    grid = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, header_style="bold")
    for name in HEAD:
        numeric = name in ("READY", "MIN", "MAX")
        grid.add_column(name, justify="right" if numeric else "left", no_wrap=name not in ("REASON", "METRIC"))
    fitting = view.apps[: max(1, height - _LINES_AROUND - len(view.notes))]
    for app in fitting:
        scaling = app.get("replicas") != app.get("desiredReplicas")
        styles = {
            "REPLICAS": "bold dark_orange" if scaling else "",
            "UTILISATION": _colour(ratio(app)),
            "REASON": "bold red" if app.get("ready") == "False" else "",
        }
        row = zip(HEAD, cells(app, view.now), strict=True)
        grid.add_row(*(Text(cell, styles.get(name, "")) for name, cell in row))
    left_out = len(view.apps) - len(fitting)
    below = f"{left_out} more do not fit; select fewer with -n or -l. " if left_out else ""
    return Group(
        Text(view.title, "bold"),
        *(Text(note, "yellow") for note in view.notes),
        *([Text(view.error, "bold red")] if view.error else []),
        grid,
        Text(f"{below}q or Ctrl-C: quit", "grey62"),
    )


def _colour(share: float | None) -> str:
    if share is None:
        return "grey62"
    return "red" if share > _OVER else "yellow" if share > _NEAR else "green"
