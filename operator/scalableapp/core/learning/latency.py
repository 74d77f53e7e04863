"""What a Prometheus histogram of durations shows: quantiles, and the share of requests slower than a limit.

A histogram is a mapping from upper bounds in seconds, math.inf among them, to the requests per second that took at
most so long. Between two bounds durations are taken to be spread evenly, as Prometheus' histogram_quantile() has it.
"""

import math
import re
from collections.abc import Iterable, Mapping

Histogram = Mapping[float, float]

_BOUND = re.compile(r"\+?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)

# Of buckets of one scrape; more than rates that are stretched to their window differ by.
_MOST_DECREASE = 0.1


def bound_of(le: str) -> float | None:
    """The upper bound in seconds that the label `le` of a bucket states; None for a text that states none."""
    if le in ("+Inf", "Inf"):
        return math.inf
    bound = float(le) if _BOUND.fullmatch(le) else math.inf
    return bound if bound < math.inf else None


def flaw_of(histogram: Histogram) -> str:
    """Why a histogram is not valid, if so: then it is not used, as it must not make requests look fast."""
    if not all(0 <= rate < math.inf for rate in histogram.values()):
        return "its duration histogram has buckets that are not valid numbers"
    if math.inf not in histogram:
        return 'its duration histogram has no bucket le="+Inf", so the number of requests is unknown'
    highest = 0.0
    for _, rate in sorted(histogram.items()):
        if rate < highest * (1 - _MOST_DECREASE):
            return "its duration histogram has a bucket with fewer requests than a smaller bucket"
        highest = max(highest, rate)
    return ""


def smoothed(histogram: Histogram) -> Histogram:
    """The histogram with each bucket at least as full as those that are part of it."""
    highest, found = 0.0, {}
    for bound, rate in sorted(histogram.items()):
        highest = max(highest, rate)
        found[bound] = highest
    return found


def merged(histograms: Iterable[Histogram]) -> dict[float, float]:
    """One histogram of several, as of an app's pods."""
    parts = list(histograms)
    bounds = sorted({bound for histogram in parts for bound in histogram})
    return {bound: sum(_up_to(histogram, bound) for histogram in parts) for bound in bounds}


def _up_to(histogram: Histogram, bound: float) -> float:
    """Requests per second within a bound, which the histogram of another version of the app may not have."""
    rate = histogram.get(bound)
    return _within(histogram, bound) if rate is None else rate


def quantile(histogram: Histogram, share: float) -> float | None:
    """Seconds that `share` (0..1) of the requests took at most; 0 without requests, None without a histogram.

    In the last bucket its lower bound is the answer, as there is no upper one (histogram_quantile).
    """
    requests = histogram.get(math.inf)
    if requests is None or not len(histogram) > 1:
        return None
    if requests <= 0:
        return 0.0
    rank, lower, below = share * requests, 0.0, 0.0
    for bound, rate in sorted(histogram.items()):
        if rate >= rank:
            if math.isinf(bound):
                break
            return bound if rate <= below else lower + (bound - lower) * (rank - below) / (rate - below)
        lower, below = bound, rate
    return lower


def slow_share(histogram: Histogram, limit_seconds: float, failures: float = 0.0) -> float | None:
    """Share (0..1) of the requests that took longer than the limit or failed; None without requests.

    `failures` are failed requests per second. One that was slow, too, counts twice: rather too strict than too lax.
    """
    requests = histogram.get(math.inf, 0.0)
    if requests <= 0:
        return None
    slow = requests - _within(histogram, limit_seconds)
    return min(max((slow + failures) / requests, 0.0), 1.0)


def _within(histogram: Histogram, seconds: float) -> float:
    """Requests per second that took at most `seconds`. Beyond the last finite bound all others count as slow."""
    lower, below = 0.0, 0.0
    for bound, rate in sorted(histogram.items()):
        if bound >= seconds:
            if math.isinf(bound):
                break
            return below + (rate - below) * (seconds - lower) / (bound - lower)
        lower, below = bound, rate
    return below
