"""Do pods help? Where requests are slow and CPU is not used up, half as many again are started, and compared.

A route that always fails, a database at its limit, one slow pod: no number of pods mends that, and each pod more may
make it worse. So pods are added once; when they serve, the share of slow requests is compared with the one before (two
proportions, at about the same load), and so is what is answered without failing. No better twice: pods do not help.
"""

import math
from dataclasses import dataclass, replace

from scalableapp.core.learning.verdict import Verdict

# Below this utilisation CPU does not ask for pods, above that it does.
CPU_IDLE, CPU_BUSY = 0.6, 0.7
# Bad for so long, so that a jump of the load that pods are starting for is no reason.
_BAD_SECONDS = 90.0
# Good for so long before requests count as fast again: near the limit, good and bad minutes take turns.
_GOOD_SECONDS = 120.0
# New pods have served for the window of the slow share, and one comparison has nothing of the one before.
_SERVING_SECONDS, _BETWEEN_SECONDS = 75.0, 60.0
_STEP = 1.5
_SAME_LOAD = 0.2
_SIGNIFICANT = 2.0
# Better is at least this much fewer slow requests, or this much more that is answered.
_LEAST_LESS, _LEAST_MORE = 0.4, 0.2
# Requests queue, and more of them may be waiting than are answered, where at least so many of them are slow.
_QUEUED = 0.5
_COMPARISONS = 2
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 900.0, 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Before:
    """What there was before pods were added: how many, requests per second, slow share, requests seen, and served."""

    pods: int
    load: float
    slow_share: float
    requests: float
    served: float

    @property
    def per_pod(self) -> float:
        """Requests per second and pod."""
        return self.load / self.pods


@dataclass(frozen=True, slots=True)
class Trial:
    """Whether more pods make requests faster.

    `bad_since` is when requests became slow, `bad_at` when they last were, `before` what there was when pods were
    added; `more_since` when more of them served, `compared` when that was last compared, and `no_better` how often
    without success. Pods that did not help are tried again at `until`, after `wait` seconds. Where they helped,
    `helped` is the load per pod before.
    """

    bad_since: float | None = None
    before: Before | None = None
    more_since: float | None = None
    compared: float = -math.inf
    no_better: int = 0
    until: float | None = None
    wait: float = _FIRST_WAIT_SECONDS
    helped: float | None = None
    bad_at: float = -math.inf

    @property
    def asked(self) -> int:
        """Pods that the trial asks for; 0 for none."""
        return max(self.before.pods + 1, int(_STEP * self.before.pods)) if self.before else 0

    def moved(self, seconds: float) -> "Trial":
        """All its times, on a clock that was moved."""
        bad_since, more_since, until = (
            None if at is None else at + seconds for at in (self.bad_since, self.more_since, self.until)
        )
        return replace(
            self,
            bad_since=bad_since,
            more_since=more_since,
            until=until,
            compared=self.compared + seconds,
            bad_at=self.bad_at + seconds,
        )


NO_TRIAL = Trial()


@dataclass(frozen=True, slots=True)
class Now:
    """The app at present, as a trial sees it: `served` is requests per second that did not fail."""

    at: float
    pods: int
    load: float
    served: float
    utilisation: float | None


def advanced(trial: Trial, now: Now, verdict: Verdict | None) -> Trial:
    """The trial with what was seen now."""
    busy = now.utilisation is not None and now.utilisation > CPU_BUSY
    if verdict is None or busy:
        return NO_TRIAL
    if trial.helped is not None:
        trial = replace(trial, helped=None)
    if trial.until is not None:
        return _waiting(trial, now, verdict, trial.until)
    if trial.before:
        return _compared(trial, trial.before, now, verdict)
    return _before(trial, now, verdict)


def _before(trial: Trial, now: Now, verdict: Verdict) -> Trial:
    """Pods are added once requests have been slow for long enough, and CPU is not used up."""
    if now.pods < 1 or (now.utilisation or 0.0) >= CPU_IDLE:
        return NO_TRIAL
    if not verdict.clearly_bad:
        return trial if now.at - trial.bad_at < _GOOD_SECONDS else NO_TRIAL
    if trial.bad_since is None or now.at - trial.bad_since < _BAD_SECONDS:
        return replace(trial, bad_since=now.at if trial.bad_since is None else trial.bad_since, bad_at=now.at)
    return replace(trial, before=Before(now.pods, now.load, verdict.slow_share, verdict.requests, now.served))


def _waiting(trial: Trial, now: Now, verdict: Verdict, until: float) -> Trial:
    if now.at < until:
        return trial
    if not verdict.bad:
        return NO_TRIAL
    wait = min(2 * trial.wait, _LONGEST_WAIT_SECONDS)
    return replace(trial, until=None, no_better=0, more_since=None, compared=now.at, wait=wait)


def _compared(trial: Trial, before: Before, now: Now, verdict: Verdict) -> Trial:
    if now.pods <= before.pods:
        return replace(trial, more_since=None) if verdict.bad else NO_TRIAL
    since = now.at if trial.more_since is None else trial.more_since
    trial = replace(trial, more_since=since)
    if now.at - since < _SERVING_SECONDS or now.at - trial.compared < _BETWEEN_SECONDS:
        return trial
    if _better(before, now, verdict):
        return Trial(helped=before.per_pod)
    if abs(now.load / before.load - 1) > _SAME_LOAD:
        return trial
    trial = replace(trial, compared=now.at, no_better=trial.no_better + 1)
    return replace(trial, until=now.at + trial.wait) if trial.no_better >= _COMPARISONS else trial


def _better(before: Before, now: Now, verdict: Verdict) -> bool:
    """Whether clearly fewer are slow, or clearly more of those that queued are answered per second.

    Where requests do not queue, more of them are answered because more of them came.
    """
    more = now.served > before.served * (1 + _LEAST_MORE) and now.load <= before.load * (1 + 2 * _SAME_LOAD)
    if more and before.slow_share >= _QUEUED:
        return True
    least = max(before.requests, 1.0), max(verdict.requests, 1.0)
    both = (before.slow_share * least[0] + verdict.slow_share * least[1]) / sum(least)
    deviation = math.sqrt(max(both * (1 - both), 1e-9) * (1 / least[0] + 1 / least[1]))
    less = before.slow_share - verdict.slow_share
    return less > _SIGNIFICANT * deviation and less > _LEAST_LESS * before.slow_share
