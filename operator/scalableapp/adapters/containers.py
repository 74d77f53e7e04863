"""CPU and memory of each container of pods that others deploy: one query per kind for all apps that scale such a pod.

Of a pod that the operator deploys one container is known to serve; of others, all count in sum or one that is named.
A container's series are told apart by POD/CONTAINER in the place of the pod's name.
"""

import time
from collections.abc import Callable, Collection
from functools import partial

from scalableapp.adapters.asking import Asking
from scalableapp.adapters.per_pod import Refusals, inspection_answer, pod_answer, windows_of
from scalableapp.adapters.prometheus_answers import Answer
from scalableapp.adapters.prometheus_queries import CONTAINERS, flaws_of, grouped_query, inspection_query
from scalableapp.adapters.scrape_times import Pod, ScrapeTimes
from scalableapp.adapters.user_queries import with_query
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import DataProblem
from scalableapp.ports import ContainerAnswer, PodAnswer

_INSPECTION_SECONDS, _INSPECT_AGAIN_SECONDS = 60.0, 15.0


class ContainerSeries:
    """The series behind these queries."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._scrape_times = {kind: ScrapeTimes() for kind in CONTAINERS}
        self._flawed: dict[MetricType, Refusals] = {}
        self._inspect_at: dict[MetricType, float] = {}

    async def collect(self, kinds: Collection[MetricType], matcher: str) -> dict[MetricType, ContainerAnswer]:
        """Values of each container of the pods that match."""
        now = time.monotonic()
        due = {kind: partial(self._inspect, kind, matcher) for kind in kinds if now >= self._inspect_at.get(kind, 0.0)}
        late = PodAnswer({}, DataProblem.UNREACHABLE, self._asking.too_late())
        for kind, answer in (await self._asking.within_time(due, late)).items():
            self._inspect_at[kind] = now + (_INSPECT_AGAIN_SECONDS if answer.problem else _INSPECTION_SECONDS)
            if answer.problem is None:
                self._flawed[kind] = dict(answer.refused)
        jobs = {kind: partial(self._values, kind, matcher) for kind in sorted(kinds)}
        found = await self._asking.within_time(jobs, late)
        return {kind: _by_pod(answer) for kind, answer in found.items()}

    def _inspect(self, kind: MetricType, matcher: str, ends: float) -> PodAnswer:
        grouped = CONTAINERS[kind]
        flaws = flaws_of(grouped, matcher)

        def take(answer: Answer) -> PodAnswer:
            return PodAnswer({}, refused=inspection_answer(answer, flaws, self._scrape_times[kind]))

        query = inspection_query(grouped, matcher, flaws)
        return self._taken(kind, query, take, ends=ends)

    def _values(self, kind: MetricType, matcher: str, ends: float) -> PodAnswer:
        grouped, times, flawed = CONTAINERS[kind], self._scrape_times[kind], self._flawed.get(kind, {})
        query = grouped_query(grouped, matcher, windows_of(grouped, times), with_newest=True)

        def take(answer: Answer) -> PodAnswer:
            found = pod_answer(answer, grouped, times, flawed, with_newest=True)
            if found.scrapes:
                return found
            message = (
                f"Prometheus has no {grouped.metric} with the labels namespace, pod and container; is it scraping the "
                "kubelets?"
            )
            return PodAnswer({}, DataProblem.EMPTY, message)

        return self._taken(kind, query, take, ends=ends, of_rates=grouped.of_rate)

    def _taken(
        self, kind: MetricType, query: str, take: Callable[[Answer], PodAnswer], *, ends: float, of_rates: bool = False
    ) -> PodAnswer:
        """What `take` makes of the answer to a query for all apps, or the problem with it."""

        def checked(answer: Answer) -> PodAnswer:
            return PodAnswer({}, answer.problem, with_query(answer, query)) if answer.problem else take(answer)

        return self._asking.ask_for(kind, query, checked, of_rates=of_rates, ends=ends)


def _by_pod(answer: PodAnswer) -> ContainerAnswer:
    """With the values of each pod's containers together. What cannot be used of one cannot be used of the pod."""
    values: dict[Pod, dict[str, float]] = {}
    for key, value in answer.values.items():
        pod, container = _split(key)
        values.setdefault(pod, {})[container] = value
    scrapes: dict[Pod, Scrape] = {}
    for key, scrape in answer.scrapes.items():
        pod, _ = _split(key)
        known = scrapes.get(pod)
        scrapes[pod] = scrape if known is None else _worse(known, scrape)
    refused = {_split(key)[0]: why for key, why in answer.refused.items()}
    return ContainerAnswer(values, answer.problem, answer.message, scrapes, refused)


def _worse(one: Scrape, other: Scrape) -> Scrape:
    """The one whose newest sample is older."""
    return max(one, other, key=lambda scrape: float("inf") if scrape.age is None else scrape.age)


def _split(key: Pod) -> tuple[Pod, str]:
    pod, _, container = key[1].partition("/")
    return (key[0], pod), container
