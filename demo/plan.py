"""The load over time: stages with a rate at their end, joined by straight lines. No I/O, no clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of time that ends at `rate` requests per second."""

    name: str
    seconds: float
    rate: float


class Span(NamedTuple):
    """When a stage begins and ends, in seconds since the load began."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Calm, rise, hold, fall, calm again: what the verdict judges is read off these five stages."""

    calm: Stage
    rise: Stage
    hold: Stage
    fall: Stage
    calm_again: Stage

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in order."""
        return (self.calm, self.rise, self.hold, self.fall, self.calm_again)

    @property
    def seconds(self) -> float:
        """Length of the whole."""
        return sum(stage.seconds for stage in self.stages)

    def spans(self) -> Iterator[Span]:
        """Every stage with its place on the time axis."""
        begin = 0.0
        for stage in self.stages:
            yield Span(stage.name, begin, begin + stage.seconds)
            begin += stage.seconds

    def span(self, stage: Stage) -> Span:
        """Where `stage` lies on the time axis."""
        return next(span for span in self.spans() if span.name == stage.name)

    def stage_at(self, at: float) -> str:
        """Name of the stage at a moment; the last one's after the end."""
        return next((span.name for span in self.spans() if at < span.end), self.calm_again.name)

    def rate_at(self, at: float) -> float | None:
        """Requests per second wanted at a moment; None after the end."""
        before = self.calm.rate
        for stage, span in zip(self.stages, self.spans(), strict=True):
            if at < span.end:
                return before + (stage.rate - before) * (at - span.begin) / stage.seconds
            before = stage.rate
        return None


def five_stages(calm: float, high: float, seconds: tuple[float, float, float, float, float]) -> Plan:
    """A plan that goes from `calm` to `high` requests per second and back; `seconds` are the stages' lengths."""
    names = ("calm", "rise", "hold", "fall", "calm again")
    rates = (calm, high, high, calm, calm)
    return Plan(*(Stage(*parts) for parts in zip(names, seconds, rates, strict=True)))


# 75 requests/s at 5-10 ms of CPU each leave a 2-core machine room for the cluster, the proxy and the generator.
# The last stage is an upper bound: the run ends as soon as the replicas have been back for a while.
DEMO = five_stages(calm=15, high=75, seconds=(25, 10, 60, 10, 100))
