"""How long is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of one round.

    seconds: of load for each figure that is a rate.
    patience: seconds within which a fixed number of requests is over, or the machine is too busy to tell anything.
    page_requests: for each hit ratio; the ratio depends on it, so that figures of different plans do not compare.
    expiries: of a page that a herd wants; their median counts.
    samples: of the time of a single query; their median counts.
    limits: CPU limits in cores, each with every number of `workers`.
    """

    rounds: int
    seconds: float
    patience: float
    page_requests: int
    expiries: int
    samples: int
    limits: tuple[float, ...]
    workers: tuple[int, ...]


FULL = Plan(
    rounds=2,
    seconds=4.0,
    patience=60.0,
    page_requests=3000,
    expiries=3,
    samples=9,
    limits=(0.5, 1.0, 1.5),
    workers=(1, 2, 4),
)
QUICK = Plan(
    rounds=1, seconds=2.0, patience=60.0, page_requests=1000, expiries=1, samples=3, limits=(1.5,), workers=(1, 2)
)
