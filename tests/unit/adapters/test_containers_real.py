"""CPU and memory of each container of pods that others deploy, by a real Prometheus."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import DataProblem
from scalableapp.ports import ContainerAnswer, MetricsRequest
from tests.prometheus_servers import Program, answers, program, write_past

pytestmark = pytest.mark.process
CPU, MEMORY = MetricType.CPU, MetricType.MEMORY
WEB = ("shop", "web-1")
STEP = 15


def about(value: float) -> Any:
    """Rates end a little after the last sample."""
    return pytest.approx(value, rel=0.25)


def lines(now: float) -> Iterator[str]:
    """A quarter of an hour of a pod with two containers that work, one that sleeps, and its sandbox; and of another."""
    rates = {"web": 0.5, "proxy": 0.25, "sleeper": 0.0, "POD": 9.0, "": 10.0}
    moments = [now - age for age in range(900, 0, -STEP)]
    yield "# TYPE container_cpu_usage_seconds_total counter"
    for container, rate in rates.items():
        for cpu in ("cpu00", "cpu01"):
            labels = f'namespace="shop",pod="web-1",container="{container}",cpu="{cpu}",job="kubelet"'
            for at in moments:
                yield f"container_cpu_usage_seconds_total{{{labels}}} {rate / 2 * (at - now + 1000)} {at}"
    for at in moments:
        other = 'namespace="other",pod="db-1",container="db",cpu="cpu00"'
        yield f"container_cpu_usage_seconds_total{{{other}}} {at - now + 1000} {at}"
    yield "# TYPE container_memory_working_set_bytes gauge"
    for container, size in {"web": 2**20, "proxy": 2**19, "POD": 2**30}.items():
        for at in moments:
            labels = f'namespace="shop",pod="web-1",container="{container}"'
            yield f"container_memory_working_set_bytes{{{labels}}} {size} {at}"
    yield "# EOF"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    found: Program = program("prometheus-3")
    folder: Path = tmp_path_factory.mktemp("prometheus")
    write_past(lines(time.time()), folder)
    with found.running(folder, answers) as url:
        yield url


@pytest_asyncio.fixture
async def metrics(url: str) -> AsyncIterator[PrometheusMetrics]:
    adapter = PrometheusMetrics(url)
    yield adapter
    adapter.close()


async def measured(metrics: PrometheusMetrics, *namespaces: str) -> dict[MetricType, ContainerAnswer]:
    request = MetricsRequest(
        frozenset(),
        frozenset(namespaces),
        containers=frozenset({CPU, MEMORY}),
        deployed_by_others=frozenset(namespaces),
    )
    return dict((await metrics.collect(request)).containers)


async def test_each_container_is_told_and_neither_the_sandbox_nor_the_sum_of_the_pod(
    metrics: PrometheusMetrics,
) -> None:
    found = await measured(metrics, "shop")
    assert found[CPU].values == {WEB: {"web": about(0.5), "proxy": about(0.25), "sleeper": 0.0}}
    assert found[MEMORY].values == {WEB: {"web": 2**20, "proxy": 2**19}}
    scrape = found[CPU].scrapes[WEB]
    assert scrape.interval == pytest.approx(STEP, rel=0.1)
    assert not scrape.overdue


async def test_a_pod_counts_with_all_its_containers_or_with_the_one_that_is_named(metrics: PrometheusMetrics) -> None:
    cpu = (await measured(metrics, "shop", "other"))[CPU]
    everything = cpu.of_pods(None, ("web", "proxy"))
    assert everything.values == {WEB: about(0.75)}
    assert cpu.of_pods(None, ("db",)).values == {("other", "db-1"): about(1.0)}
    assert cpu.of_pods("proxy", ()).values == {WEB: about(0.25)}
    assert cpu.of_pods("sleeper", ()).values == {}
    assert WEB not in cpu.of_pods(None, ("web", "gone")).values


async def test_where_there_is_nothing_it_is_said(metrics: PrometheusMetrics) -> None:
    cpu = (await measured(metrics, "empty"))[CPU]
    assert (cpu.values, cpu.problem) == ({}, DataProblem.EMPTY)
    assert "is it scraping the kubelets?" in cpu.message
