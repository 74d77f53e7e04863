"""What a Prometheus of either version has to find in our configuration, our pages and our windows."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import requests
import yaml
from prometheus_client import CollectorRegistry

from sample_app.metrics import Metrics
from scalableapp.adapters.endpoints import Endpoints, metrics
from scalableapp.adapters.prometheus_queries import KINDS, USAGE, failures_query, latencies_query
from scalableapp.adapters.telemetry import Telemetry
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.schedules import Burst
from scalableapp.core.horizontal import objective_plan
from tests.prometheus_servers import Program, answers
from tests.unit.monitoring.names import RULES

COMPONENT = Path(__file__).resolve().parents[3] / "manifests" / "components" / "prometheus"
CONFIGURATION: dict[str, Any] = yaml.safe_load((COMPONENT / "prometheus.yml").read_text())
# rate() needs two samples, and a scrape may fail. A window that begins at a scrape is a sample shorter in Prometheus 3.
FEWEST_SAMPLES = 3


def container() -> dict[str, Any]:
    """Prometheus' container as the component starts it."""
    manifests = yaml.safe_load_all((COMPONENT / "deployment.yaml").read_text())
    (found,) = next(it for it in manifests if it["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.process
def test_the_components_configuration_rules_and_flags_are_taken_without_a_warning(
    prometheus: Program, tmp_path: Path
) -> None:
    for name in ("prometheus.yml", "rules.yml"):
        (tmp_path / name).write_text((COMPONENT / name).read_text())
    flags = [flag for flag in container()["args"] if not flag.startswith(("--config.file=", "--storage.tsdb.path="))]
    assert len(flags) == len(container()["args"]) - 2
    with prometheus.running(tmp_path, flags=flags) as url:
        taken = yaml.safe_load(requests.get(f"{url}/api/v1/status/config", timeout=5).json()["data"]["yaml"])
        groups = requests.get(f"{url}/api/v1/rules", timeout=5).json()["data"]["groups"]
    assert [job["job_name"] for job in taken["scrape_configs"]] == [
        job["job_name"] for job in CONFIGURATION["scrape_configs"]
    ]
    assert sum(len(group["rules"]) for group in groups) == len(RULES)
    log = (tmp_path / "log").read_text().lower()
    # It is outside a cluster, and is stopped by a signal.
    complaints = [line for line in log.splitlines() if "deprecated" in line or "level=warn" in line]
    assert [line for line in complaints if "signal" not in line] == []


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def operators_page() -> Iterator[int]:
    """Port of the operator's own /metrics."""
    endpoints = Endpoints([(0, {"/metrics": metrics(Telemetry().registry)})])
    yield endpoints.ports[0]
    endpoints.close()


@contextmanager
def page(answer: Callable[[str], tuple[bytes, str]]) -> Iterator[int]:
    """Port of a page; `answer` has the text and the Content-Type for an Accept header."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        text, content_type = answer(environ.get("HTTP_ACCEPT", ""))
        start_response("200 OK", [("Content-Type", content_type)] if content_type else [])
        return [text]

    with make_server("127.0.0.1", 0, application, handler_class=_Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(5)


def configuration(ports: dict[str, int], limits: dict[str, Any] | None = None) -> str:
    """Each page as a job of its own, scraped every second."""
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}], **(limits or {})}
        for name, port in ports.items()
    ]
    often = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    return yaml.safe_dump({"global": often, "scrape_configs": jobs})


def scraped(
    prometheus: Program, ports: dict[str, int], folder: Path, limits: dict[str, Any] | None = None
) -> dict[str, str]:
    """How each page was scraped, by its name: "up", or the error."""
    (folder / "prometheus.yml").write_text(configuration(ports, limits))
    with prometheus.running(folder, lambda url: answers(url) and "unknown" not in _health(url).values()) as url:
        return _health(url)


def _health(url: str) -> dict[str, str]:
    targets = requests.get(f"{url}/api/v1/targets", timeout=5).json()["data"]["activeTargets"]
    return {it["labels"]["job"]: it["lastError"] or it["health"] for it in targets} or {"none": "unknown"}


@pytest.mark.process
def test_the_pages_of_the_operator_and_of_an_app_say_what_they_are_so_that_prometheus_3_reads_them(
    prometheus: Program, operators_page: int, tmp_path: Path
) -> None:
    with page(Metrics(CollectorRegistry()).exposition) as apps_page:
        found = scraped(prometheus, {"operator": operators_page, "app": apps_page}, tmp_path)
    assert found == {"operator": "up", "app": "up"}


@pytest.mark.process
def test_a_page_that_does_not_say_what_it_is_is_read_by_prometheus_2_alone(prometheus: Program, tmp_path: Path) -> None:
    with page(lambda _: (b"queue 1\n", "")) as port:
        found = scraped(prometheus, {"app": port}, tmp_path)["app"]
    expected = "blank Content-Type" if prometheus.major == 3 else "up"
    assert expected in found


def pods_job() -> dict[str, Any]:
    """The limits of the component's job for pods."""
    job = next(it for it in CONFIGURATION["scrape_configs"] if it["job_name"] == "pods")
    return {name: limit for name, limit in job.items() if name.endswith("_limit")}


MANY = "".join(f'q{{le="{number}"}} 1\n' for number in range(5001))
PAGES = {
    "an ordinary page": ("".join(f'q{{le="{number}"}} 1\n' for number in range(4000)), "up"),
    "too many series": (MANY, "sample limit exceeded"),
    "a label that is too long": (f'q{{le="{"x" * 513}"}} 1\n', "label_value_length_limit exceeded"),
    "too many labels": ("q{" + ",".join(f'l{number}="1"' for number in range(40)) + "} 1\n", "label_limit exceeded"),
    "too large a page": ("# " + "x" * 9 * 2**20 + "\nq 1\n", "body size limit exceeded"),
}


@pytest.mark.process
@pytest.mark.parametrize(("text", "health"), PAGES.values(), ids=PAGES.keys())
def test_a_pod_over_a_limit_is_not_scraped_and_the_targets_page_says_why(
    prometheus: Program, tmp_path: Path, text: str, health: str
) -> None:
    assert pods_job()["sample_limit"] == 5000
    with page(lambda _: (text.encode(), "text/plain; version=0.0.4")) as port:
        assert health in scraped(prometheus, {"app": port}, tmp_path, pods_job())["app"]


HISTOGRAM = b"""# TYPE wait_seconds histogram
wait_seconds_bucket{le="1"} 1
wait_seconds_bucket{le="+Inf"} 2
wait_seconds_sum 3
wait_seconds_count 2
"""


@pytest.mark.process
def test_whole_bounds_of_a_histogram_are_written_otherwise_by_prometheus_3(prometheus: Program, tmp_path: Path) -> None:
    def bounds(url: str) -> set[str]:
        found = requests.get(f"{url}/api/v1/label/le/values", timeout=5).json()["data"]
        return set(found)

    with page(lambda _: (HISTOGRAM, "text/plain; version=0.0.4")) as port:
        (tmp_path / "prometheus.yml").write_text(configuration({"app": port}))
        with prometheus.running(tmp_path, lambda url: bool(bounds(url))) as url:
            assert bounds(url) == {"+Inf", "1.0" if prometheus.major == 3 else "1"}


def scrape_seconds(job: str) -> float:
    found = next(it for it in CONFIGURATION["scrape_configs"] if it["job_name"] == job)
    return float(str(found.get("scrape_interval", CONFIGURATION["global"]["scrape_interval"])).removesuffix("s"))


OF_PODS = {"requests": KINDS[MetricType.REQUESTS_PER_SECOND].query(""), "failures": failures_query("")}
OF_PODS |= {"latencies": latencies_query("")}
SHORTEST = [
    ("objective_plan", objective_plan.RATE_WINDOW_SECONDS),
    ("burst", Burst.model_fields["window_seconds"].default),
]
OF_KUBELETS = {kind.value: usage.query("") for kind, usage in USAGE.items()} | {"CPU": KINDS[MetricType.CPU].query("")}


@pytest.mark.parametrize(
    ("query", "job"),
    [
        *(pytest.param(query, "pods", id=name) for name, query in OF_PODS.items()),
        *(pytest.param(query, "cadvisor", id=name) for name, query in OF_KUBELETS.items()),
    ],
)
def test_a_window_holds_enough_samples_in_prometheus_3_though_a_scrape_failed(query: str, job: str) -> None:
    windows = [float(window) for window in re.findall(r"\[(\d+)s\]", query)]
    assert windows
    # Left-open: of a window of n intervals there are n samples, wherever it begins.
    assert min(windows) / scrape_seconds(job) >= FEWEST_SAMPLES


@pytest.mark.parametrize(("use", "window"), SHORTEST, ids=[use for use, _ in SHORTEST])
def test_a_short_window_of_requests_holds_the_two_samples_that_a_rate_needs(use: str, window: float) -> None:
    assert window / scrape_seconds("pods") >= 2
