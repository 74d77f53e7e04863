"""The report of a run: sentences and a self-contained HTML page. Text out, no I/O but its own template."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from demo.chart import picture
from demo.plan import Plan
from demo.recording import Recording
from demo.verdict import Verdict

TEMPLATES = Path(__file__).parent / "templates"


def summary(verdict: Verdict) -> str:
    """The run in one line."""
    return (
        f"{verdict.calm_rate:.0f} → {verdict.high_rate:.0f} → {verdict.calm_rate:.0f} requests/s, "
        f"{_moves(verdict)}; "
        f"{verdict.requests} requests, {verdict.failures.total()} failed, {verdict.retries} retried; "
        f"p95 {milliseconds(verdict.p95_ms)} at high load"
    )


def _moves(verdict: Verdict) -> str:
    start, peak, end = verdict.replicas
    if start == peak == end:
        return f"replicas {start} throughout"
    return (
        f"replicas {start} → {peak} → {end}; "
        f"scaled up {seconds(verdict.patched_after)} and pods ready {seconds(verdict.ready_after)} "
        f"after the load began to rise, scaled down {seconds(verdict.back_after)} after it began to fall"
    )


def headline(verdict: Verdict, name: str) -> str:
    """What the chart shows, as its title."""
    start, peak, end = verdict.replicas
    return f"{name}: replicas {start} → {peak} → {end} under load"


def seconds(value: float | None) -> str:
    """A time span for people."""
    return "never" if value is None else f"{value:.1f} s"


def milliseconds(value: float | None) -> str:
    """A latency for people."""
    return "unknown" if value is None else f"{value:.0f} ms"


def clock(at: float) -> str:
    """A moment of the run as minutes:seconds."""
    whole = max(int(at), 0)
    return f"{whole // 60}:{whole % 60:02d}"


def page(
    recording: Recording, plan: Plan, verdict: Verdict, name: str, shown: str = "replicas followed the load up and down"
) -> str:
    """The HTML page about the run of the app called `name`; `shown` is what one that passed has shown."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(seconds=seconds, milliseconds=milliseconds, clock=clock)
    drawing = picture(recording, plan, headline(verdict, name), "svg").decode()
    return environment.get_template("report.html").render(
        name=name,
        shown=shown,
        recording=recording,
        verdict=verdict,
        summary=summary(verdict),
        # The picture is our own; all text in it went through matplotlib's XML writer.
        chart=Markup(drawing[drawing.index("<svg") :]),  # noqa: S704 - see above
    )
