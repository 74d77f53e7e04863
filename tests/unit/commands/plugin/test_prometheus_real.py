"""What the commands ask, answered by a real Prometheus whose past has been written by promtool."""

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from scalableapp.commands.plugin.series import decided
from scalableapp.commands.plugin.usage import read_usage
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey
from tests.prometheus_servers import Server, write_past
from tests.unit.commands.plugin.conftest import SHOP, Terminal, app
from tests.unit.commands.plugin.test_recommend import DEPLOYMENT, deployment

pytestmark = pytest.mark.process

HOUR, SCRAPE = 3600, 15
WEB = AppKey("shop", "web")
PODS = ("web-7c6d4f9b75-bb2kq", "web-7c6d4f9b75-x2v4z")


def samples(end: int) -> Iterator[str]:
    """Three hours: half a core and 100 MiB a pod, 50 requests/s; one replica decided on until an hour ago, then two."""
    times = range(end - 3 * HOUR, end + 1, SCRAPE)
    counters = {
        "container_cpu_usage_seconds": ('namespace="shop",pod="%s",container="server"', 0.5),
        "http_requests": ('namespace="shop",pod="%s"', 50.0),
    }
    strangers = ("web-admin-7c6d4f9b75-bb2kq", "web-0")
    for name, (labels, rate) in counters.items():
        yield f"# TYPE {name} counter"
        for pod in (*PODS, *strangers):
            yield from (f"{name}_total{{{labels % pod}}} {rate * (at - end + 4 * HOUR)} {at}" for at in times)
    yield "# TYPE container_memory_working_set_bytes gauge"
    for pod in PODS:
        labels = f'namespace="shop",pod="{pod}",container="server"'
        yield from (f"container_memory_working_set_bytes{{{labels}}} {100 * 2**20} {at}" for at in times)
    yield "# TYPE scalableapp_desired_replicas gauge"
    for namespace, labels in (("exported_namespace", 'namespace="scalableapp-system",'), ("namespace", "")):
        name = "web" if labels else "api"
        series = f'{labels}{namespace}="shop",app="{name}"'
        for at in times:
            yield f"scalableapp_desired_replicas{{{series}}} {1 if at < end - HOUR else 2} {at}"
    yield "# EOF"


@pytest.fixture(scope="module")
def end() -> int:
    return int(time.time()) // 60 * 60


@pytest.fixture(scope="module")
def url(promql_server: Server, end: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("plugin")
    write_past(samples(end), folder)
    with promql_server.running(folder) as url:
        yield url


async def test_usage_is_that_of_the_deployments_pods_and_no_others(url: str, end: int) -> None:
    usage = await read_usage(url, WEB, "server", 2 * HOUR, end)
    assert usage.step == 30.0
    values = {kind: usage.of(kind)[-1].values for kind in usage.moments}
    assert values == {
        MetricType.CPU: (pytest.approx(0.5),) * 2,
        MetricType.MEMORY: (100 * 2**20,) * 2,
        MetricType.REQUESTS_PER_SECOND: (pytest.approx(50),) * 2,
    }
    assert len(usage.times) == 2 * HOUR / 30 + 1


async def test_a_history_that_is_shorter_than_asked_for_is_read_in_smaller_steps(url: str, end: int) -> None:
    usage = await read_usage(url, WEB, "server", 30 * 24 * HOUR, end)
    assert usage.step == 30.0
    assert end - usage.times[0] == pytest.approx(3 * HOUR, abs=300)


@pytest.mark.parametrize("name", ["web", "api"])
async def test_numbers_decided_on_are_found_by_either_way_of_labelling(url: str, end: int, name: str) -> None:
    points, step = await decided(url, AppKey("shop", name), 2 * HOUR, end)
    changes = [at for (_, before), (at, after) in pairwise(points) if after != before]
    assert (step, changes) == (15.0, [end - HOUR])
    assert points[-1][1] == 2


async def test_history_and_recommend_show_what_it_remembers(terminal: Terminal, url: str) -> None:
    held: dict[str, Any] = app()
    del held["status"]["decision"]
    terminal.known |= {f"{SHOP}/web": held, DEPLOYMENT: deployment(2)}
    _, out, _ = await terminal.run("history", "web", "--since", "2h", "--prometheus", url, "-o", "json")
    assert [(row["source"], row["from"], row["to"]) for row in json.loads(out)["items"]] == [("Prometheus", 1, 2)]
    _, out, _ = await terminal.run("recommend", "web", "--since", "2h", "--prometheus", url, "-o", "json")
    output = json.loads(out)
    assert output["manifest"]["spec"]["scaling"]["horizontal"]["metrics"] == [
        {"type": "CPU", "target": "400m"},
        {"type": "RequestsPerSecond", "target": "40"},
    ]
    assert output["horizontal"]["replicas"]["max"] == 3
