"""A recorded run as a picture that moves: `python -m demo.animation run.json demo.svg`.

The time of the run passes in some twenty seconds, again and again. Whoever asks for less motion sees the end of it.
"""

import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from demo.recording import Decision, Recording, from_json
from demo.report import TEMPLATES, clock, summary
from demo.scenarios import SCENARIOS
from demo.verdict import judge

# Seconds in which the run passes, and the end stands still.
PASSES, STANDS = 20.0, 4.0
LEFT, RIGHT = 64.0, 700.0
_CAPTION_WIDTH = 118


class Panel(NamedTuple):
    """One chart: its name, where it is (top and bottom, in pixels), and the value at its top."""

    name: str
    top: float
    bottom: float
    most: float

    def y(self, value: float) -> float:
        """Height of a value."""
        return round(self.bottom - (self.bottom - self.top) * min(value, self.most) / self.most, 1)


class Frames(NamedTuple):
    """When something is to be seen: percent of the animation, and 1 or 0 from then on."""

    steps: tuple[tuple[float, int], ...]


def animation(recording: Recording, title: str) -> str:
    """The SVG of a run whose replicas moved."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(clock=clock)
    end = recording.end
    load = Panel("requests/s", 64, 164, _ceiling([len(sample.latencies_ms) for sample in recording.load], 10))
    replicas = Panel("replicas", 200, 290, max(state.replicas for state in recording.states) + 0.5)
    delays = [(sample.at, recording.latency(0.95, sample.at) or 0.0) for sample in recording.load]
    latency = Panel("p95, ms", 326, 396, _ceiling([value for _, value in delays], 50))
    rates = [(sample.at, float(len(sample.latencies_ms))) for sample in recording.load if sample.users]
    target = recording.state.target or 0.0
    at_target = [(state.at, state.ready * target) for state in recording.timeline()]
    lines: dict[str, Any] = {
        "rate": _line(rates, load, end),
        "carried": _steps(at_target, load, end),
        "desired": _steps([(state.at, state.replicas) for state in recording.timeline()], replicas, end),
        "ready": _steps([(state.at, state.ready) for state in recording.timeline()], replicas, end),
        "latency": _line(delays, latency, end),
    }
    return environment.get_template("animation.svg").render(
        title=title,
        panels=(load, replicas, latency),
        lines=lines,
        pods=_pods(recording),
        captions=_captions(recording),
        ticks=[(_x(at, end), at) for at in range(0, int(end), 30)],
        seconds=PASSES + STANDS,
        passed=_percent(end, end),
        left=LEFT,
        right=RIGHT,
    )


def _ceiling(values: Iterable[float], step: int) -> float:
    """The next round number above all values."""
    return (int(max(values, default=0.0)) // step + 1) * float(step)


def _x(at: float, end: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * max(at, 0.0) / end, 1)


def _line(points: Iterable[tuple[float, float]], panel: Panel, end: float) -> str:
    return " ".join(f"{_x(at, end)},{panel.y(value)}" for at, value in points)


def _steps(points: Sequence[tuple[float, float]], panel: Panel, end: float) -> str:
    """A value holds until the next one."""
    following = [at for at, _ in points[1:]] + [end]
    corners = [
        corner for (at, value), until in zip(points, following, strict=True) for corner in ((at, value), (until, value))
    ]
    return _line(corners, panel, end)


def _percent(at: float, end: float) -> float:
    return round(100 * PASSES / (PASSES + STANDS) * max(at, 0.0) / end, 2)


def _pods(recording: Recording) -> list[tuple[Frames, Frames]]:
    """For each pod that there ever was: when it is asked for, and when it is ready."""
    most = max(state.replicas for state in recording.states)
    return [
        (
            _frames(recording, lambda state, number=number: state.replicas >= number),
            _frames(recording, lambda state, number=number: min(state.ready, state.replicas) >= number),
        )
        for number in range(1, most + 1)
    ]


def _frames(recording: Recording, seen: Callable[..., bool]) -> Frames:
    steps: list[tuple[float, int]] = []
    for state in recording.timeline():
        now = int(seen(state))
        if not steps or steps[-1][1] != now:
            steps.append((_percent(state.at, recording.end), now))
    return Frames(tuple(steps))


def _captions(recording: Recording) -> list[tuple[Frames, str, list[str]]]:
    """Each change of the replicas from its moment until the next one: title, and why in lines."""
    changes = recording.changes()
    until = [_percent(change.at, recording.end) for change in changes[1:]] + [101.0]
    found = []
    for change, end in zip(changes, until, strict=True):
        begin = _percent(change.at, recording.end)
        steps = ((0.0, 0), (begin, 1), *(((end, 0),) if end <= 100 else ()))
        title = f"{clock(change.at)}  {change.replicas_from} → {change.replicas_to} replicas ({change.reason})"
        found.append((Frames(steps), title, textwrap.wrap(_why(change), _CAPTION_WIDTH)))
    return found


def _why(change: Decision) -> str:
    """What the rules made of the metric; what it was is seen in the charts, but where no rule had a say."""
    return change.message.partition("; ")[2] or change.message


def main(arguments: Sequence[str]) -> int:
    """Read a run, write its picture. Returns the exit code."""
    source, target = map(Path, arguments)
    recording = from_json(json.loads(source.read_text()))
    target.write_text(animation(recording, replicas_text(recording)))
    print(f"wrote {target}")  # noqa: T201 - a command-line tool prints
    return 0


def replicas_text(recording: Recording) -> str:
    """The run of `make demo` in one line."""
    scenario = SCENARIOS["horizontal"]
    return summary(judge(recording, scenario.plan, scenario.problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
