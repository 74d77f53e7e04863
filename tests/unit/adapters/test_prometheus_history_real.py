"""The past from a real Prometheus, whose history has been written by promtool as if it had scraped for days."""

import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import pytest_asyncio

from scalableapp.adapters.prometheus_history import STEPS_A_QUERY, PrometheusHistory
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.horizontal.prediction import replayed
from scalableapp.core.horizontal.replay import Moment
from scalableapp.core.learning.buckets import BUCKET_SECONDS
from scalableapp.core.model import AppKey, DataProblem, Startups
from scalableapp.core.size import Resource
from tests.prometheus_servers import VICTORIAMETRICS, Server, write_past

pytestmark = pytest.mark.process

DAY, SCRAPE = 86_400, 15
# How often is scraped is counted up to now: samples after the end keep that right while the servers start.
AFTER = 900
WEB, SHOP = AppKey("shop", "shop-web"), AppKey("shop", "shop")
# Pods of shop-web: of an old ReplicaSet until 27 hours ago, then of a new one; and one of the app named shop.
CHANGED = DAY + 3 * 3600
OLD, NEW, OTHER = "shop-web-5d9c7b8f64-x2v4z", "shop-web-7c6d4f9b75-bb2kq", "shop-6b7f8d9c84-qw7xz"
# What looks like a pod of shop or shop-web and is none.
STRANGERS = ("shop-web-0", "shop-web-mysql-0", "shop-web-7c6d4f9b75-mysql", "shop")


def load_at(at: float) -> float:
    """Requests/s of shop-web: a daily wave."""
    return 100 + 60 * math.sin(2 * math.pi * at / DAY)


def _seven(_: float) -> float:
    return 7.0


def _thousand(_: float) -> float:
    return 1000.0


def _samples(end: int) -> Iterator[str]:
    """OpenMetrics text of three days, series by series."""
    rates: dict[str, Callable[[float], float]] = {OLD: load_at, NEW: load_at, OTHER: _seven}
    rates |= dict.fromkeys(STRANGERS, _thousand)
    yield "# TYPE http_requests counter"
    for pod, rate in rates.items():
        total = 0.0
        for at in range(end - 3 * DAY, end + AFTER, SCRAPE):
            if (pod == OLD and at > end - CHANGED) or (pod == NEW and at <= end - CHANGED):
                continue
            total += SCRAPE * rate(at)
            yield f'http_requests_total{{namespace="shop",pod="{pod}"}} {total} {at}'
    yield "# TYPE http_request_duration_seconds histogram"
    for bound, share in (("0.1", 0.5), ("0.5", 0.9), ("+Inf", 1.0)):
        for at in range(end - 2 * 3600, end + AFTER, SCRAPE):
            labels = f'namespace="shop",pod="{NEW}",le="{bound}"'
            yield f"http_request_duration_seconds_bucket{{{labels}}} {share * 10 * (at - end + 8000)} {at}"
    yield from _usage(end)
    yield "# EOF"


def _usage(end: int) -> Iterator[str]:
    """Two hours of cAdvisor's: shop-web's pod uses half a core and 100 MiB, and for a moment of an hour ago 300."""
    times = range(end - 2 * 3600, end + AFTER, SCRAPE)
    labels = f'{{namespace="shop",pod="{NEW}",container="app"}}'
    yield "# TYPE container_cpu_usage_seconds counter"
    for at in times:
        yield f"container_cpu_usage_seconds_total{labels} {0.5 * (at - end + 8000)} {at}"
    yield "# TYPE container_memory_working_set_bytes gauge"
    for at in times:
        yield f"container_memory_working_set_bytes{labels} {(300 if at == end - 3600 else 100) * 2**20} {at}"


@pytest.fixture(scope="module")
def end() -> int:
    """A scrape after a step's border, at any time of day: the hardest case for the change of pods."""
    return (int(time.time()) - SCRAPE) // BUCKET_SECONDS * BUCKET_SECONDS + SCRAPE


@pytest.fixture(scope="module")
def url(promql_server: Server, end: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("past")
    write_past(_samples(end), folder)
    with promql_server.running(folder) as url:
        yield url


@pytest_asyncio.fixture
async def past(url: str) -> AsyncIterator[PrometheusHistory]:
    adapter = PrometheusHistory(url)
    yield adapter
    adapter.close()


async def moments(past: PrometheusHistory, end: int, key: AppKey, slow_seconds: float | None = None) -> list[Moment]:
    pasts = await past.loads({key: slow_seconds}, datetime.fromtimestamp(end, UTC))
    assert pasts.problem is None, pasts.message
    return list(pasts.moments[key])


async def test_loads_of_days_are_those_of_an_apps_pods_old_and_new(
    promql_server: Server, past: PrometheusHistory, end: int
) -> None:
    found = await moments(past, end, WEB)
    coarse, fine = found[:-280], found[-280:]
    assert len(coarse) > STEPS_A_QUERY  # it took more than one query
    assert (coarse[-1].at - coarse[0].at) > timedelta(days=2.9)
    assert {(after.at - before.at).total_seconds() for before, after in pairwise(fine)} == {15.0}
    at_change = [moment for moment in coarse if abs(moment.at.timestamp() - (end - CHANGED)) <= 600]
    middles = [moment for moment in coarse if moment not in at_change]
    assert all(abs(moment.load - load_at(moment.at.timestamp())) < 2 for moment in middles[1:])
    # VictoriaMetrics does not extrapolate: both pods count in full while both have samples in the 5 minutes of a step.
    most = 2.05 if promql_server.name == VICTORIAMETRICS else 1.05
    # Prometheus 3 excludes the beginning of a window: of the old pod one sample is left in the step, which has no rate.
    assert all(0.92 < moment.load / load_at(moment.at.timestamp()) < most for moment in at_change)
    assert all(abs(moment.load - load_at(moment.at.timestamp())) < 2 for moment in fine)
    assert {moment.ready for moment in fine} == {1}
    assert found == sorted(found, key=lambda moment: moment.at)


async def test_an_app_is_not_given_the_pods_of_another_whose_name_begins_like_its_own(
    past: PrometheusHistory, end: int
) -> None:
    found = await moments(past, end, SHOP)
    assert all(abs(moment.load - 7) < 0.5 for moment in found[1:])


async def test_several_apps_are_distinguished_in_one_answer(past: PrometheusHistory, end: int) -> None:
    nobody = AppKey("other", "shop")
    asked = dict.fromkeys([WEB, SHOP, nobody])
    pasts = await past.loads(asked, datetime.fromtimestamp(end, UTC))
    assert pasts.moments.keys() == {WEB, SHOP}
    assert pasts.moments[SHOP][-1].load == pytest.approx(7, abs=0.5)


async def test_the_share_of_slow_requests_comes_from_the_histogram(past: PrometheusHistory, end: int) -> None:
    found = await moments(past, end, WEB, 0.3)
    shares = [moment.slow_share for moment in found[-200:]]
    assert all(share == pytest.approx(1 - 0.7) for share in shares)  # half way from 0.1 s to 0.5 s: 70 % are faster
    assert found[0].slow_share is None


async def test_what_an_objective_learns_from_is_reported_for_a_whole_day(past: PrometheusHistory, end: int) -> None:
    found = await moments(past, end, WEB, 0.3)
    with_pods = [moment for moment in found if moment.ready]
    judged = [moment for moment in with_pods if moment.slow_share is not None]
    assert timedelta(hours=23) < with_pods[-1].at - with_pods[0].at <= timedelta(hours=26)
    assert timedelta(minutes=110) < judged[-1].at - judged[0].at  # as far back as the histogram goes
    assert all(moment.slow_share == pytest.approx(0.3) for moment in judged)


async def test_forecasts_learn_the_day_from_it(past: PrometheusHistory, end: int) -> None:
    loads = replayed(((moment.at, moment.load) for moment in await moments(past, end, WEB)), Startups((30.0,)))
    assert len(loads.errors) == 240
    daily = loads.pending[-1].expected[3]
    assert daily == pytest.approx(load_at(end + 45), rel=0.05)


async def test_values_per_pod_of_the_last_minutes(past: PrometheusHistory, end: int) -> None:
    pasts = await past.pods([WEB], {MetricType.REQUESTS_PER_SECOND}, 300, datetime.fromtimestamp(end, UTC))
    found = pasts.pods[WEB]
    assert [len(found), found[-1].at.timestamp()] == [22, end]
    assert {pod for moment in found for pod in moment.values[MetricType.REQUESTS_PER_SECOND]} == {NEW}
    assert found[-1].values[MetricType.REQUESTS_PER_SECOND][NEW] == pytest.approx(load_at(end), rel=0.05)


async def test_a_prometheus_that_is_away_is_a_problem_not_an_error() -> None:
    adapter = PrometheusHistory("http://127.0.0.1:1")
    pasts = await adapter.loads({WEB: None}, datetime.now(UTC))
    adapter.close()
    assert pasts.problem is DataProblem.UNREACHABLE


async def test_usage_of_before_is_reported_by_app(past: PrometheusHistory, end: int) -> None:
    wanted = {WEB: {Resource.CPU: 3600.0, Resource.MEMORY: 5400.0}}
    answer = await past.usage(wanted, datetime.fromtimestamp(end, UTC))
    assert answer.problem is None
    (used,) = answer.usage.values()
    cores, peaks = ([value for _, value in used[resource]] for resource in Resource)
    assert cores == [pytest.approx(0.5)] * 61
    assert max(peaks) == 300 * 2**20
    assert sum(value > 100 * 2**20 for value in peaks) in (1, 2)
    assert [at for at, _ in used[Resource.CPU]] == [end - 60.0 * step for step in range(60, -1, -1)]
