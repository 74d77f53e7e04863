"""What the operator waits for before it acts: seen in its log, in /readyz and in a metric."""

import logging
import time
from collections.abc import Callable, Mapping
from enum import StrEnum

log = logging.getLogger(__name__)


class Stage(StrEnum):
    """What has to be there before the operator acts, in this order."""

    API = "KubernetesAPI"
    CRD = "CustomResourceDefinition"
    NAMESPACES = "Namespaces"
    LEASE = "Lease"
    STANDBY = "OtherOperator"
    LISTS = "Lists"


_WORDS = {
    Stage.API: "the Kubernetes API",
    Stage.CRD: "the ScalableApp CRD",
    Stage.NAMESPACES: "permission to watch its namespaces",
    Stage.LEASE: "the Lease",
    Stage.STANDBY: "another operator to release the Lease",
    Stage.LISTS: "its watches to report all existing objects",
}


# An API server is slow when it takes longer, and takes so for some renewals of the Lease in a row.
SLOW_SECONDS = 1.0
_SLOW_IN_A_ROW, _QUICK_IN_A_ROW = 3, 10


class Progress:
    """One thing at a time is waited for, or none. `observe` is told which, None for none.

    `count` is told how many namespaces cannot be watched. Read from other threads too.
    """

    def __init__(
        self,
        observe: Callable[[Stage | None], None] = lambda _stage: None,
        clock: Callable[[], float] = time.monotonic,
        count: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self._observe = observe
        self._clock = clock
        self._count = count
        self._slow = False
        self._otherwise = 0
        self._stage: Stage | None = None
        self._since = clock()
        self._why = ""
        self._trouble = ""
        self._unwatched: Mapping[str, str] = {}

    def waits(self, stage: Stage, why: str = "") -> None:
        """The operator does not act until `stage` is there. Logged once until it changes."""
        if self._stage is None:
            self._since = self._clock()
        if stage is not self._stage or (why and not self._why):
            level = logging.WARNING if why and stage is not Stage.STANDBY else logging.INFO
            log.log(level, "Waiting for %s%s", _WORDS[stage], f": {why}" if why else "")
        if stage is not self._stage:
            self._observe(stage)
            self._why = ""
        self._stage, self._why, self._trouble = stage, why or self._why, ""

    def acts(self) -> None:
        """Everything is there."""
        log.info("The operator acts, after %.1f s of waiting", self._clock() - self._since)
        self._stage, self._why, self._trouble = None, "", ""
        self._observe(None)

    def troubled(self, why: str) -> None:
        """The Lease could not be renewed just now; "" when it could. The operator acts for as long as it holds it."""
        if bool(why) is not bool(self._trouble):
            log.warning("The Lease cannot be renewed: %s", why) if why else log.info("The Lease is renewed again")
        self._trouble = why

    def answered(self, seconds: float) -> None:
        """A renewal of the Lease took so long. Logged when the API server becomes slow, and when it no longer is."""
        self._otherwise = 0 if (seconds > SLOW_SECONDS) is self._slow else self._otherwise + 1
        if self._otherwise < (_QUICK_IN_A_ROW if self._slow else _SLOW_IN_A_ROW):
            return
        self._slow, self._otherwise = not self._slow, 0
        if self._slow:
            log.warning("The Kubernetes API takes %.1f s to answer; each scaling is late by as much", seconds)
        else:
            log.info("The Kubernetes API answers within %.0f s again", SLOW_SECONDS)

    def unwatched(self, namespaces: Mapping[str, str]) -> None:
        """Namespaces that cannot be watched, each with the reason; the others are served."""
        for namespace in namespaces.keys() - self._unwatched.keys():
            log.warning("Waiting for namespace %s, which cannot be watched: %s", namespace, namespaces[namespace])
        for namespace in self._unwatched.keys() - namespaces.keys():
            log.info("Namespace %s can be watched", namespace)
        self._unwatched = dict(namespaces)
        self._count(len(namespaces))

    def readiness(self) -> tuple[bool, str]:
        """Whether the operator is ready, and in words for what it waits. One that stands by for another is ready."""
        stage, why = self._stage, self._why or self._trouble
        if stage is not None:
            return stage is Stage.STANDBY, f"waiting for {_WORDS[stage]}{f': {why}' if why else ''}"
        waiting = [f"waiting for namespace {name}: {reason}" for name, reason in sorted(self._unwatched.items())]
        waiting += [f"the Lease cannot be renewed: {why}"] if why else []
        return not why, "; ".join(waiting) or "ready"
