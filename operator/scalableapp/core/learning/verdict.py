"""When requests are many enough to judge the app by: at least twenty, and enough for one slow one to be within limits.

With fewer, chance decides: one slow request of three is 33 %, and says nothing. A minute that holds enough is judged by
itself; else requests are gathered for up to ten minutes, and dropped if they are still too few by then.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

LONGEST_SECONDS = 600.0
_LEAST_REQUESTS = 20.0
_MINUTE = 60.0
# Standard deviations that a share must be beyond the limit before it says that pods carry less than was believed.
_SIGNIFICANT = 2.0


class Gathered(NamedTuple):
    """Requests that are too few to be judged so far: their time, number, slow ones, and pod-seconds behind them."""

    seconds: float = 0.0
    requests: float = 0.0
    slow: float = 0.0
    pod_seconds: float = 0.0

    @property
    def per_pod(self) -> float:
        """Requests per second and pod."""
        return self.requests / self.pod_seconds


NOTHING_GATHERED = Gathered()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judged window: when it ended, its requests, and the share of slow or failed ones (0..1) beside its limit.

    `per_pod` is requests per second and pod, `gathered` whether it was longer than a minute.
    """

    at: float
    requests: float
    slow_share: float
    slow_limit: float
    per_pod: float
    gathered: bool = False

    @property
    def bad(self) -> bool:
        """Whether more were slow than may be."""
        return self.slow_share > self.slow_limit

    @property
    def clearly_bad(self) -> bool:
        """Whether that is more than chance."""
        deviation = math.sqrt(self.slow_limit * (1 - self.slow_limit) / max(self.requests, 1.0))
        return self.slow_share > self.slow_limit + _SIGNIFICANT * deviation


def least_requests(slow_limit: float) -> float:
    """Requests that a window must hold to be judged."""
    return max(_LEAST_REQUESTS, 1 / slow_limit)


def gather(before: Gathered, load: float, slow_share: float, ready: float, elapsed: float) -> Gathered:
    """With what came in since; what is too old to be judged is dropped."""
    if before.seconds >= LONGEST_SECONDS:
        before = NOTHING_GATHERED
    requests = load * elapsed
    return Gathered(
        before.seconds + elapsed,
        before.requests + requests,
        before.slow + slow_share * requests,
        before.pod_seconds + ready * elapsed,
    )


def complete(gathered: Gathered, slow_limit: float) -> bool:
    """Whether the window may be judged."""
    return gathered.seconds >= _MINUTE and gathered.requests >= least_requests(slow_limit) - 1e-6
