"""Which request metrics the pods serve, of those by which sources are recognised: one query for all apps, at times."""

import time
from collections.abc import Mapping
from functools import partial

from scalableapp.adapters.asking import Asking
from scalableapp.adapters.pod_series import INSPECT_AGAIN_SECONDS, INSPECTION_SECONDS, namespace_matcher
from scalableapp.adapters.prometheus_answers import Answer
from scalableapp.core.model import DataProblem
from scalableapp.ports import LookedFor, PodAnswer, ServedBy

# With the labels of a pod a series takes 150 bytes: this is for some 50,000 pods.
_LARGEST_ANSWER_BYTES = 8 * 2**20


class ServedMetrics:
    """Looks once a minute. Where Prometheus cannot tell, what was found before remains."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._look_at = 0.0
        self._found: ServedBy | None = None

    async def look(self, wanted: LookedFor) -> ServedBy | None:
        """The metrics of each pod by namespace and name; None where it is not known yet, or not wanted."""
        if not wanted.namespaces:
            return None
        now = time.monotonic()
        if now < self._look_at:
            return self._found
        late = PodAnswer({}, DataProblem.UNREACHABLE, self._asking.too_late())
        found: dict[tuple[str, str], set[str]] = {}
        jobs = {"": partial(self._ask, wanted, found)}
        answer = (await self._asking.within_time(jobs, late))[""]
        self._look_at = now + (INSPECT_AGAIN_SECONDS if answer.problem else INSPECTION_SECONDS)
        if answer.problem is None:
            self._found = {pod: frozenset(names) for pod, names in found.items()}
        return self._found

    def _ask(self, wanted: LookedFor, found: dict[tuple[str, str], set[str]], ends: float) -> PodAnswer:
        names = "|".join(sorted(wanted.metrics))
        matcher = namespace_matcher("namespace", wanted.namespaces)
        query = f'count by (__name__, namespace, pod) ({{__name__=~"{names}",{matcher}}})'

        def take(answer: Answer) -> PodAnswer:
            for sample in answer.samples:
                labels: Mapping[str, str] = sample.labels
                if "namespace" in labels and "pod" in labels:
                    found.setdefault((labels["namespace"], labels["pod"]), set()).add(labels.get("__name__", ""))
            return PodAnswer({}, answer.problem, answer.message)

        return self._asking.ask_for("Served", query, take, ends=ends, most_bytes=_LARGEST_ANSWER_BYTES)
