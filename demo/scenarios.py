"""What is shown: the app, its load, and what has to come of it; one scenario for each mode of scaling."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from demo.plan import DEMO, Plan, five_stages
from demo.recording import Recording
from demo.verdict import SETTLED_SECONDS, Problems, problems_of_load, problems_of_replicas, replica_problems, settled

SAMPLES = Path(__file__).resolve().parent.parent / "manifests" / "samples"
# A size is back when it is nearer to where it began than to its peak.
BACK_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Scenario:
    """One demonstration. `shown` says what a run that passed has shown; `settled` when there is no more to see."""

    sample: Path
    plan: Plan
    shown: str
    problems: Problems
    settled: Callable[[Recording, Plan, float], bool]


@dataclass(frozen=True, slots=True)
class Sizes:
    """CPU that each pod was guaranteed before the rise, at its peak and at the end, in cores; and how long it took.

    `grown_after` counts from the rise of the load, `shrunk_after` from its fall; None when it never came to that.
    """

    before: float
    peak: float
    end: float
    grown_after: float | None
    shrunk_after: float | None


def sizes_of(recording: Recording, plan: Plan) -> Sizes:
    """What became of the pods' CPU requests in a run."""
    rise, fall = plan.span(plan.rise), plan.span(plan.fall)
    before = recording.cpu_request_at(rise.begin) or 0.0
    seen = [(size.at, size.cpu_request or 0.0) for size in recording.sizes if size.at >= rise.begin]
    peak = max((request for _, request in seen), default=before)
    border = before + (peak - before) * (1 - BACK_SHARE)
    grown = next((at for at, request in seen if request > before), None)
    shrunk = (
        next((at for at, request in seen if at >= fall.begin and request <= border), None) if peak > before else None
    )
    return Sizes(
        before,
        peak,
        recording.cpu_request_at(recording.end) or 0.0,
        None if grown is None else grown - rise.begin,
        None if shrunk is None else shrunk - fall.begin,
    )


def sizes_text(sizes: Sizes) -> str:
    """What became of the sizes, in one line."""
    grown, shrunk = (
        "never" if after is None else f"after {after:.0f} s" for after in (sizes.grown_after, sizes.shrunk_after)
    )
    return (
        f"CPU of each pod: {sizes.before:g} → {sizes.peak:g} → {sizes.end:g} cores; raised {grown} of rising load, "
        f"half of that lowered {shrunk} of falling load"
    )


def sizes_settled(recording: Recording, plan: Plan, at: float) -> bool:
    """Whether the load has fallen and the pods have given back what they no longer need."""
    shrunk = sizes_of(recording, plan).shrunk_after
    return shrunk is not None and at >= plan.span(plan.fall).begin + shrunk + SETTLED_SECONDS


def both_settled(recording: Recording, plan: Plan, at: float) -> bool:
    """Whether replicas and sizes are back."""
    return settled(recording, plan, at) and sizes_settled(recording, plan, at)


def size_problems(recording: Recording, plan: Plan) -> Iterator[str]:
    """What a run should have shown of the pods' sizes, and did not."""
    yield from problems_of_load(recording, plan)
    seen = sizes_of(recording, plan)
    if seen.grown_after is None:
        yield f"the pods' CPU did not grow with the load: it stayed at {seen.before:g} cores"
    elif seen.shrunk_after is None:
        yield f"the pods' CPU was not lowered after the load: {seen.end:g} cores are left of {seen.peak:g}"


def both_problems(recording: Recording, plan: Plan) -> Iterator[str]:
    """What a run should have shown of replicas and sizes, and did not."""
    yield from size_problems(recording, plan)
    yield from replica_problems(recording, plan)


SCENARIOS = {
    "horizontal": Scenario(
        SAMPLES / "sample-app.yaml",
        DEMO,
        "replicas followed the load up and down",
        problems_of_replicas,
        settled,
    ),
    "vertical": Scenario(
        SAMPLES / "vertical.yaml",
        five_stages(calm=5, high=35, seconds=(30, 10, 150, 10, 420)),
        "the pod's CPU followed the load up and down",
        size_problems,
        sizes_settled,
    ),
    "combined": Scenario(
        SAMPLES / "combined.yaml",
        five_stages(calm=10, high=60, seconds=(30, 10, 200, 10, 420)),
        "replicas followed the load, and pods grew where no more of them were allowed",
        both_problems,
        both_settled,
    ),
}
