"""Changes of size that were rolled back, and how long each of their resources waits before it is tried again.

Only what failed is held: of a change of both resources that of which the failure tells, or both where it tells none.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from scalableapp.core.explain import clock
from scalableapp.core.size import Resource, Size

# A failed resize is not tried again for so long, twice as long after each further one.
FIRST_BACK_OFF_SECONDS = 300.0
LONGEST_BACK_OFF_SECONDS = 86400.0
# A size this close to the failed one counts as the same.
_SAME = 0.05
# How a failure tells its resource: as rollout.py and the scheduler write it.
_TELLING = {Resource.CPU: ("Insufficient cpu",), Resource.MEMORY: ("OOM-killed", "Insufficient memory")}


class FailedResize(NamedTuple):
    """A change that was rolled back: what it led to, when, why, and how many times in a row.

    A resource that is not to blame has the same amount in `size` and in `before`.
    """

    size: Size
    before: Size
    at: datetime
    why: str
    times: int

    @property
    def resources(self) -> frozenset[Resource]:
        """What is held for it."""
        return frozenset(resource for resource in Resource if self.size.of(resource) != self.before.of(resource))


Failures = tuple[FailedResize, ...]


def failed(failures: Failures, size: Size, before: Size, at: datetime, why: str) -> Failures:
    """With one more, the newest first. What failed of the other resource stays."""
    told = {resource for resource, words in _TELLING.items() if any(word in why for word in words)}
    changed = {resource for resource in Resource if size.of(resource) != before.of(resource)}
    for resource in changed - told if changed & told else ():
        size = size.having(resource, before.of(resource))
    times = max((_counted(failure, size, at) for failure in failures), default=1)
    new = FailedResize(size, before, at, why, times)
    return (new, *(old for old in failures if not old.resources <= new.resources))[:2]


def repeats(failures: Iterable[FailedResize], size: Size, resource: Resource, now: datetime) -> str:
    """Why the size would repeat a failed change of that resource too soon; "" when it would not."""
    found = (backing_off(failure, now) for failure in failures if _as_bad(failure, size, resource))
    return next(filter(None, found), "")


def backing_off(failure: FailedResize, now: datetime) -> str:
    """What failed a while ago and must not be retried yet; "" when it may be."""
    left = _back_off(failure) - (now - failure.at).total_seconds()
    if left <= 0:
        return ""
    retry = clock(now + timedelta(seconds=left), now)
    return f"{failure.size} was rolled back at {clock(failure.at, now)}: {failure.why}; no retry before {retry}"


def _counted(failure: FailedResize, size: Size, now: datetime) -> int:
    """How many times in a row a size was rolled back, this time included."""
    if not any(_as_bad(failure, size, resource) for resource in Resource):
        return 1
    return failure.times + 1 if (now - failure.at).total_seconds() < 2 * _back_off(failure) else 1


def _back_off(failure: FailedResize) -> float:
    return min(LONGEST_BACK_OFF_SECONDS, FIRST_BACK_OFF_SECONDS * 2.0 ** min(20, failure.times - 1))


def _as_bad(failure: FailedResize, size: Size, resource: Resource) -> bool:
    was, tried = failure.before.of(resource).request or 0.0, failure.size.of(resource).request or 0.0
    request = size.of(resource).request or 0.0
    if tried > was:
        return request >= tried * (1 - _SAME)
    return tried < was and request <= tried * (1 + _SAME)
