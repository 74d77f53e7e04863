"""What Prometheus remembers of apps: range queries grouped over many apps, bounded in points, and never in a hurry.

Pods of the past no longer exist, so nothing but their names tells whose they were. A Deployment's pods are called
NAME-HASH-SUFFIX; neither hash nor suffix holds a hyphen, and both are of letters and digits that make no words
(k8s.io/apimachinery/pkg/util/rand), so shop-web's pods are never taken for shop's. Names beyond 47 characters are
cut by Kubernetes and not recognised: such an app starts without a past.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from scalableapp.adapters.prometheus import KINDS, REQUESTS_RATE_WINDOW_SECONDS
from scalableapp.adapters.prometheus_http import Queries, RangeAnswer, Series
from scalableapp.core.buckets import BUCKET_SECONDS
from scalableapp.core.forecast import STEP_SECONDS
from scalableapp.core.metrics import MetricType
from scalableapp.core.model import AppKey
from scalableapp.core.past import Moment, PodsMoment
from scalableapp.ports import Pasts

DAYS = 8
# The forecasts' verdict goes by an hour, and needs the trend before it.
FINE_SECONDS = 4500.0
# Of 25 apps an answer then holds 20,000 points, half a MB of JSON: reading it holds the process up for some ms.
STEPS_A_QUERY = 800

_LETTER = "[bcdfghjklmnpqrstvwxz2456789]"
_POD = f"{_LETTER}{{1,10}}-{_LETTER}{{5}}"
_LABEL = "scalableapp"
_TIMEOUT_SECONDS = 30.0
# Prometheus is left alone for as long as it took to answer.
_LEAST_PAUSE_SECONDS = 0.02


class PrometheusPast:
    """Implements ports.PastMetrics. `observe` is told what was asked and for how many seconds, from another thread."""

    def __init__(self, url: str, *, observe: Callable[[str, float], None] = lambda _what, _seconds: None) -> None:
        self._prometheus = Queries(url, _TIMEOUT_SECONDS, 1)
        self._observe = observe
        self._thread = ThreadPoolExecutor(1, "prometheus-past")

    def close(self) -> None:
        """Let go of thread and connection; what is under way ends by its time-out."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._prometheus.close()

    async def loads(self, apps: Collection[AppKey], until: datetime) -> Pasts:
        """Loads of the last days in steps of 5 minutes, each told of its middle, and of the last 75 minutes of 15 s."""
        end = until.timestamp()
        border = (end - FINE_SECONDS) // BUCKET_SECONDS * BUCKET_SECONDS
        start, middle = border - DAYS * 86_400 + BUCKET_SECONDS, timedelta(seconds=BUCKET_SECONDS / 2)
        coarse = await self._ask(_grouped(apps, "sum", BUCKET_SECONDS), start, border, BUCKET_SECONDS)
        window = REQUESTS_RATE_WINDOW_SECONDS
        fine = await self._ask(_grouped(apps, "sum", window), border + STEP_SECONDS, end, STEP_SECONDS)
        pods = await self._ask(_grouped(apps, "count", window), border + STEP_SECONDS, end, STEP_SECONDS)
        if bad := next((answer for answer in (coarse, fine, pods) if answer.problem), None):
            return Pasts(problem=bad.problem, message=bad.message)
        found: dict[AppKey, list[Moment]] = {key: [] for key in apps}
        for key, _, at, load in _points(coarse, apps):
            found[key].append(Moment(at - middle, load))
        counts = {(key, at): int(value) for key, _, at, value in _points(pods, apps)}
        for key, _, at, load in _points(fine, apps):
            found[key].append(Moment(at, load, counts.get((key, at))))
        return Pasts({key: moments for key, moments in found.items() if moments})

    async def pods(
        self, apps: Collection[AppKey], kinds: Collection[MetricType], seconds: float, until: datetime
    ) -> Pasts:
        """Values per pod of the last `seconds`, in steps of 15 s."""
        end = until.timestamp()
        found: dict[AppKey, dict[datetime, dict[MetricType, dict[str, float]]]] = {}
        for kind in sorted(kinds):
            answer = await self._ask(_per_pod(apps, kind), end - seconds - STEP_SECONDS, end, STEP_SECONDS)
            if answer.problem:
                return Pasts(problem=answer.problem, message=answer.message)
            for key, pod, at, value in _points(answer, apps):
                found.setdefault(key, {}).setdefault(at, {}).setdefault(kind, {})[pod] = value
        return Pasts(pods={key: [PodsMoment(at, of_at[at]) for at in sorted(of_at)] for key, of_at in found.items()})

    async def _ask(self, query: str, start: float, end: float, step: float) -> RangeAnswer:
        """A range up to `end`, asked for in pieces with pauses between them."""
        series: list[Series] = []
        for first, last in _pieces(start, end, step):
            started = time.monotonic()
            answer = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._prometheus.ask_range, query, first, last, step
            )
            took = time.monotonic() - started
            self._observe("History", took)
            if answer.problem:
                return answer
            series += answer.series
            await asyncio.sleep(max(_LEAST_PAUSE_SECONDS, took))
        return RangeAnswer(tuple(series))


def _pieces(start: float, end: float, step: float) -> Iterator[tuple[float, float]]:
    """Ranges of whole steps that end with `end`."""
    first = end - (end - start) // step * step
    while first <= end:
        last = min(first + (STEPS_A_QUERY - 1) * step, end)
        yield first, last
        first = last + step


def _matcher(apps: Collection[AppKey]) -> str:
    namespaces = "|".join(sorted({key.namespace for key in apps}))
    names = "|".join(sorted({key.name for key in apps}))
    return f'namespace=~"{namespaces}",pod=~"(?:{names})-{_POD}"'


def _by_app(rate: str) -> str:
    return f'label_replace({rate}, "{_LABEL}", "$1", "pod", "(.+)-{_POD}")'


def _grouped(apps: Collection[AppKey], how: str, window: float) -> str:
    """Requests per second of each app, or the number of its pods that have any such series."""
    requests = KINDS[MetricType.REQUESTS_PER_SECOND]._replace(window=window)
    return f"{how} by (namespace, {_LABEL}) ({_by_app(requests.query(_matcher(apps)))})"


def _per_pod(apps: Collection[AppKey], kind: MetricType) -> str:
    return _by_app(KINDS[kind].query(_matcher(apps)))


def _points(answer: RangeAnswer, apps: Collection[AppKey]) -> Iterator[tuple[AppKey, str, datetime, float]]:
    """App, pod, time and value of each point of the apps: names of one namespace may be there in another, too."""
    for series in answer.series:
        labels = series.labels
        key = AppKey(labels.get("namespace", ""), labels.get(_LABEL, ""))
        if key in apps:
            for at, value in series.points:
                yield key, labels.get("pod", ""), datetime.fromtimestamp(at, UTC), value
