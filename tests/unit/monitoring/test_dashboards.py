"""The dashboards: what they are made of, and that every query brings something."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from PIL import Image
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from sample_app.metrics import Metrics
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import DataProblem
from scalableapp.ports import PodAnswer, Snapshot
from tests.prometheus_servers import Program
from tests.unit.monitoring.names import known, metrics_of
from tools import dashboard, dashboards, draw_dashboards, metrics_reference, monitoring

FOLDER = monitoring.COMPONENT / "dashboards"
PAGES: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.iterdir())}
UNITS = {"none", "short", "percentunit", "reqps", "ops", "s", "bytes"}
CHOICES = {"$namespace": "shop", "$app": "web"}


def queries() -> list[tuple[str, str]]:
    """Each panel's name and each of its queries, with an app chosen."""
    return [
        (f"{name}: {panel['title']}", chosen(target["expr"]))
        for name, page in PAGES.items()
        for panel in page["panels"]
        for target in panel["targets"]
    ]


def chosen(query: str) -> str:
    for name, value in CHOICES.items():
        query = query.replace(name, value)
    return query


def test_every_page_is_in_the_config_map_that_grafana_finds() -> None:
    (generator,) = yaml.safe_load((monitoring.COMPONENT / "kustomization.yaml").read_text())["configMapGenerator"]
    assert (
        {Path(file).stem for file in generator["files"]} == set(PAGES) == {page.uid for page in dashboards.DASHBOARDS}
    )
    assert generator["options"]["labels"] == {"grafana_dashboard": "1"}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_has_ids_of_its_own_and_asks_the_data_source_that_is_chosen(page: dict[str, Any]) -> None:
    panels = page["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    assert page["templating"]["list"][0]["type"] == "datasource"
    asked = [panel["datasource"] for panel in panels] + [t["datasource"] for panel in panels for t in panel["targets"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in asked)
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["description"].endswith(".")
        references = [target["refId"] for target in panel["targets"]]
        assert references == sorted(set(references))


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_panels_fill_the_grid_and_none_covers_another(page: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in page["panels"]):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len(taken) == 24 * (1 + max(y for _, y in taken))


@pytest.mark.parametrize(("panel", "query"), queries())
def test_a_query_is_promql_on_metrics_that_exist(panel: str, query: str) -> None:
    found = metrics_of(query)
    assert found
    assert found <= known()


CADVISOR = """
container_cpu_usage_seconds_total{{namespace="shop",pod="web-5d9c-x7k2p",container="app"}} {seconds}
container_memory_working_set_bytes{{namespace="shop",pod="web-5d9c-x7k2p",container="app"}} 5e7
"""


def pages() -> dict[str, Callable[[str], tuple[bytes, str]]]:
    """/metrics of the operator and of the sample app, from their own code, and what a kubelet shows of a pod.

    Each is given the request's Accept header. The app fails one request in two, misses its objective, is in conflict,
    and was decided on yesterday.
    """
    telemetry = metrics_reference.exercised()
    yesterday = replace(metrics_reference.DECISION, at=metrics_reference.DECISION.at - timedelta(days=1))
    started = time.monotonic()

    def operator(accept: str) -> tuple[bytes, str]:
        telemetry.requested("GET", 200, 0.01)
        telemetry.queried("CPU", 0.01)
        telemetry.collected(Snapshot(yesterday.at, {MetricType.CPU: PodAnswer({}, DataProblem.EMPTY)}))
        telemetry.decided(metrics_reference.DECISION)
        telemetry.ticked(0.1, 1, [metrics_reference.APP._replace(decision=yesterday)])
        encode, content_type = choose_encoder(accept)
        return encode(telemetry.registry), content_type

    app = Metrics(CollectorRegistry())

    def sample_app(accept: str) -> tuple[bytes, str]:
        app.observe("GET", "/", 200, 0.02)
        app.observe("GET", "/", 500, 0.02)
        return app.exposition(accept)

    def cadvisor(_: str) -> tuple[bytes, str]:
        return CADVISOR.format(seconds=time.monotonic() - started).encode(), "text/plain; version=0.0.4"

    return {"/operator": operator, "/app": sample_app, "/cadvisor": cadvisor}


@pytest.fixture(scope="module")
def target() -> Iterator[int]:
    served = pages()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page, content_type = served[self.path](self.headers.get("Accept", ""))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join(5)


def configuration(port: int) -> str:
    """As manifests/components/prometheus has it, but for where targets are found and how often."""

    def job(name: str, path: str, honor: bool, **labels: str) -> dict[str, Any]:
        targets = [{"targets": [f"127.0.0.1:{port}"], "labels": labels}]
        return {"job_name": name, "metrics_path": path, "honor_labels": honor, "static_configs": targets}

    operator = job("scalableapp-operator", "/operator", True, namespace="scalableapp-system", pod="operator-1")
    app = job("pods", "/app", False, namespace="shop", pod="web-5d9c-x7k2p", app="web")
    jobs = [operator, app, job("cadvisor", "/cadvisor", True)]
    every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    return yaml.safe_dump({"global": every, "rule_files": [str(monitoring.RULES)], "scrape_configs": jobs})


@pytest.fixture(scope="module")
def url(prometheus: Program, target: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has scraped all of it, and evaluated the rules."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(configuration(target))
    with prometheus.running(folder, lambda url: bool(answered(url, "namespace_app:http_requests:rate1m > 0"))) as url:
        yield url


def answered(url: str, query: str) -> list[Any]:
    try:
        answer = requests.get(f"{url}/api/v1/query", {"query": query}, timeout=5).json()
    except (requests.RequestException, ValueError):
        return []  # it starts
    assert answer["status"] == "success", answer
    return [sample for sample in answer["data"]["result"] if sample["value"][1] != "NaN"]


@pytest.mark.process
def test_an_alert_says_whom_it_is_about_in_words_without_a_hole(url: str) -> None:
    pending: dict[str, dict[str, str]] = {}
    for _ in range(120):
        pending = {alert["labels"]["alertname"]: alert["annotations"] for alert in alerts(url)}
        if {"ScalableAppConflicted", "ScalableAppAtMaxReplicas", "ScalableAppNotEvaluated"} <= set(pending):
            break
        time.sleep(0.5)
    assert pending["ScalableAppConflicted"]["summary"] == "Another manager changes objects of shop/web."
    assert "a metric is at 160% of its target" in pending["ScalableAppAtMaxReplicas"]["description"]
    assert "The last decision is 1d " in pending["ScalableAppNotEvaluated"]["description"]
    texts = [text for annotations in pending.values() for text in annotations.values()]
    assert not [text for text in texts if "error" in text or "<no value>" in text]


def alerts(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(f"{url}/api/v1/alerts", timeout=5).json()["data"]["alerts"]
    return found


@pytest.mark.process
def test_every_query_of_every_panel_brings_data_from_a_real_prometheus(url: str) -> None:
    missing = dict.fromkeys(queries())
    for _ in range(120):
        missing = {(panel, query): None for panel, query in missing if not answered(url, query)}
        if not missing:
            return
        time.sleep(0.5)
    pytest.fail(f"without data: {list(missing)}")


@pytest.mark.process
@pytest.mark.parametrize("page", dashboards.DASHBOARDS, ids=lambda page: page.uid)
def test_a_page_is_drawn_from_what_prometheus_has(url: str, page: dashboard.Dashboard, tmp_path: Path) -> None:
    now = time.time()
    choices = {name.removeprefix("$"): value for name, value in CHOICES.items()}
    draw_dashboards.draw(page, draw_dashboards.Window(url, now - 60, now, choices), tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        colours = picture.convert("RGB").getcolors(2**16)
    assert colours
    assert len(colours) > 20  # lines of many colours on white


@pytest.mark.parametrize("page", dashboards.DASHBOARDS, ids=lambda page: page.uid)
def test_the_guide_shows_a_small_picture_of_each_page(page: dashboard.Dashboard) -> None:
    picture = f"images/dashboard-{page.uid.removeprefix('scalableapp-')}.png"
    assert f"]({picture})" in monitoring.GUIDE.read_text()
    assert 10_000 < (monitoring.ROOT / "docs" / picture).stat().st_size < 200_000


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.25, "percentunit", "25 %"),
        (2**21, "bytes", "2 MiB"),
        (0.05, "s", "50 ms"),
        (90, "s", "90 s"),
        (3, "none", "3"),
    ],
)
def test_numbers_are_drawn_with_their_units(value: float, unit: str, expected: str) -> None:
    assert draw_dashboards.text(value, unit) == expected
