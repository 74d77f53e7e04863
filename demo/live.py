"""What the terminal shows while the load runs: a view that changes in place, or plain lines where that cannot be."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.plan import Plan
from demo.recording import AppState, Recording
from demo.report import clock, milliseconds

BLOCKS = " ▁▂▃▄▅▆▇█"
LINE_EVERY_SECONDS = 5
LOAD, REPLICAS = "dodger_blue2", "dark_orange"


@contextmanager
def showing(console: Console, plan: Plan, title: str) -> Iterator[Callable[[Recording, float], None]]:
    """A function to call every second with the recording and the time since the load began."""
    if not console.is_terminal:
        yield lambda recording, at: _line_now_and_then(console, recording, plan, at)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda recording, at: live.update(view(recording, plan, at, title, console.width), refresh=True)


def view(recording: Recording, plan: Plan, at: float, title: str, width: int) -> RenderableType:
    """The live view at a moment."""
    return Panel(
        Group(_figures(recording, at), Text(), _curves(recording, plan, at, width - 28), Text(), _last(recording, at)),
        title=title,
        subtitle=f"{plan.stage_at(at)}, {clock(at)} of at most {clock(plan.seconds)}",
        border_style="grey50",
    )


def line(recording: Recording, plan: Plan, at: float) -> str:
    """The moment in one line, for a log."""
    state = recording.state
    return (
        f"[{clock(at)}] {plan.stage_at(at)}: {_rate(recording):.0f} requests/s, "
        f"replicas {state.replicas} ({state.ready} ready), {_per_pod(recording)}, "
        f"p95 {milliseconds(recording.latency(0.95, at))}, {_failed(recording)} failed{_newest(recording, at)}"
    )


def sparkline(values: list[float], highest: float) -> str:
    """One character per value, as high as its share of `highest`."""
    steps = len(BLOCKS) - 1
    shares = (max(0.0, min(value / highest, 1.0)) if highest > 0 else 0.0 for value in values)
    return "".join(BLOCKS[round(share * steps)] for share in shares)


def _line_now_and_then(console: Console, recording: Recording, plan: Plan, at: float) -> None:
    if round(at) % LINE_EVERY_SECONDS == 0:
        console.print(line(recording, plan, at), markup=False, highlight=False, soft_wrap=True)


def _figures(recording: Recording, at: float) -> Table:
    state, failed = recording.state, _failed(recording)
    cells = {
        "replicas": Text(str(state.replicas), REPLICAS),
        "ready": Text(str(state.ready)),
        "requests/s": Text(f"{_rate(recording):.0f}", LOAD),
        "per ready pod / target": Text(_share(recording, state)),
        "latency p95": Text(milliseconds(recording.latency(0.95, at))),
        "failed requests": Text(str(failed), "bold red" if failed else "green"),
    }
    table = Table(box=None, padding=(0, 3, 0, 0), expand=True)
    for name in cells:
        table.add_column(name, style="bold", header_style="grey62")
    table.add_row(*cells.values())
    return table


def _curves(recording: Recording, plan: Plan, at: float, width: int) -> Table:
    """Load and replicas over the whole plan, one character per slice of it, up to now."""
    width = max(width, 10)
    moments = [plan.seconds * (column + 1) / width for column in range(width)]
    past = [moment for moment in moments if moment <= at]
    loads = [_mean([len(s.latencies_ms) for s in recording.between(m - plan.seconds / width, m)]) for m in past]
    replicas = [float(recording.replicas_at(moment)) for moment in past]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(
        "load", Text(sparkline(loads, plan.hold.rate * 1.1).ljust(width), LOAD), Text(f"to {plan.hold.rate:.0f}/s")
    )
    most = recording.bounds[1]
    table.add_row(
        "replicas", Text(sparkline(replicas, most).ljust(width), REPLICAS), Text(f"{recording.bounds[0]} to {most}")
    )
    return table


def _last(recording: Recording, at: float) -> RenderableType:
    if not recording.decisions:
        return Text("no decision yet", "grey62")
    decision = recording.decisions[-1]
    changed = recording.changes()[-1:]
    lines = [Text.assemble(("decision  ", "grey62"), (decision.reason, "bold"), f"  {decision.message}")]
    lines += [
        Text(f"last change {entry.replicas_from} → {entry.replicas_to}, {max(at - entry.at, 0):.0f} s ago", "grey62")
        for entry in changed
    ]
    return Group(*lines)


def _newest(recording: Recording, at: float) -> str:
    """The decisions since the last line."""
    return "".join(
        f"\n       {entry.replicas_from} → {entry.replicas_to} {entry.reason}: {entry.message}"
        for entry in recording.changes()
        if entry.at > at - LINE_EVERY_SECONDS
    )


def _rate(recording: Recording) -> float:
    return len(recording.load[-1].latencies_ms) if recording.load else 0.0


def _per_pod(recording: Recording) -> str:
    return f"{_share(recording, recording.state)} per ready pod"


def _share(recording: Recording, state: AppState) -> str:
    """Load per ready pod as the generator sees it, against the target."""
    now = f"{_rate(recording) / state.ready:.1f}" if state.ready else "-"
    return f"{now} / {state.target:g}" if state.target else f"{now} / -"


def _failed(recording: Recording) -> int:
    return sum(sample.failed for sample in recording.load)


def _mean(values: list[int]) -> float:
    return sum(values) / len(values) if values else 0.0
