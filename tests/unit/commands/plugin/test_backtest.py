"""`kubectl scalableapp backtest` of an app in the cluster, on the load that its Prometheus remembers."""

import json
import math
from typing import Any

import pytest

from tests.unit.adapters.canned import Asked, Refusal
from tests.unit.commands.plugin.conftest import SHOP, Terminal, app

PROXY = "/api/v1/namespaces/scalableapp-system/services/prometheus:9090/proxy/api/v1"


def hour(asked: Asked) -> Any:
    """A load of the last hour that swings between 20 and 180 requests/s."""
    assert 'http_requests_total{namespace="shop",app="web"}' in asked.query["query"]
    start, end = float(asked.query["start"]), float(asked.query["end"])
    times = [start + 60 * index for index in range(int((end - start) // 60) + 1)]
    points = [[at, str(100 + 80 * math.sin((at - start) / 600))] for at in times]
    return {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": points}]}}


@pytest.fixture
def cluster(terminal: Terminal) -> Terminal:
    metrics = [{"type": "RequestsPerSecond", "target": "20"}]
    scaling = {"horizontal": {"maxReplicas": 20, "metrics": metrics}}
    terminal.known |= {
        f"{SHOP}/web": app(scaling=scaling),
        f"{PROXY}/query": {"status": "success"},
        f"{PROXY}/query_range": hour,
    }
    return terminal


async def test_app_and_load_come_from_the_cluster(cluster: Terminal) -> None:
    options = ("--since", "1h", "--compare", "static", "--pod-capacity", "30", "--json")
    status, out, _ = await cluster.run("backtest", "shop/web", *options)
    assert status == 0
    output = json.loads(out)
    assert output["trace"] == "shop/web"
    assert list(output["policies"]) == ["scalableapp", "static"]
    assert output["policies"]["scalableapp"]["actions"] > output["policies"]["static"]["actions"] == 0


async def test_what_is_wrong_is_reported(cluster: Terminal) -> None:
    cluster.known[f"{PROXY}/query"] = Refusal(503, "no endpoints available")
    status, out, err = await cluster.run("backtest", "web")
    assert (status, out) == (2, "")
    assert "check whether Prometheus runs, or forward a port" in err


async def test_a_history_that_prometheus_does_not_know_is_reported_without_the_url(cluster: Terminal) -> None:
    empty = {"status": "success", "data": {"resultType": "matrix", "result": []}}
    cluster.known[f"{PROXY}/query_range"] = empty
    status, _, err = await cluster.run("backtest", "web")
    assert status == 2
    assert "The operator's Prometheus has no http_requests_total" in err
    assert "127.0.0.1" not in err


async def test_a_file_needs_a_load(terminal: Terminal) -> None:
    status, _, err = await terminal.run("backtest", "app.yaml")
    assert status == 2
    assert "there is no load for app.yaml; pass --trace FILE.csv, --prometheus URL or --prometheus-config FILE" in err
