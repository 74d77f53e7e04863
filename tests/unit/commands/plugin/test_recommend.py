"""`kubectl scalableapp recommend`: from a Deployment and what its pods used to a ScalableApp that can be applied."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalableapp.commands.plugin.advice import Advice, Bounds, advise
from scalableapp.commands.plugin.deployment import read_deployment, taken_over
from scalableapp.commands.plugin.usage import UsageHistory, UsageSample
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.api.vertical_fields import Prices
from scalableapp.errors import MetricsUnavailable, Rejected
from tests.unit.adapters.canned import Asked, Refusal
from tests.unit.commands.plugin.conftest import Terminal

DAY, STEP, START = 86_400, 300.0, 1_795_000_020.0
PRICES = Prices(cpu_core_hour="0.03", memory_gibibyte_hour="0.004")


def deployment(replicas: int = 5, pod: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    usual = {
        "name": "server",
        "image": "web:1",
        "env": [{"name": "MODE", "value": "fast"}],
        "ports": [{"containerPort": 9000, "name": "http"}],
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
    }
    spec = {"containers": [{**usual, **container}], **(pod or {})}
    return {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": replicas, "template": {"spec": spec}},
    }


def wave(at: float) -> float:
    """Cores of all pods: between 0.2 and 1.8 over a day."""
    return 1.0 - 0.8 * math.cos(2 * math.pi * (at - START) / DAY)


def usage(
    pods: int = 5, cores: Callable[[float], float] = wave, kinds: tuple[MetricType, ...] = tuple(MetricType)
) -> UsageHistory:
    """A day and a half of pods that share the load, 10 ms a request, 200 MiB each."""
    times = [START + STEP * index for index in range(int(1.5 * DAY / STEP))]
    made = {
        MetricType.CPU: [UsageSample(at, (cores(at) / pods,) * pods) for at in times],
        MetricType.MEMORY: [UsageSample(at, (200.0 * 2**20,) * pods) for at in times],
        MetricType.REQUESTS_PER_SECOND: [UsageSample(at, (cores(at) / pods / 0.01,) * pods) for at in times],
    }
    return UsageHistory(STEP, {kind: tuple(moments) for kind, moments in made.items() if kind in kinds})


def advice(hpa: Bounds | None = None, used: UsageHistory | None = None, **container: Any) -> Advice:
    return advise(read_deployment(deployment(**container), None), used or usage(), hpa, PRICES)


def test_the_deployments_image_port_env_and_probes_are_taken_over() -> None:
    assert taken_over(read_deployment(deployment(), None)) == {
        "image": "web:1",
        "env": [{"name": "MODE", "value": "fast"}],
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}},
        "port": 9000,
        "health": {"readinessPath": "/ready"},
    }


def test_what_has_no_field_is_reported() -> None:
    pod = {"serviceAccountName": "web", "initContainers": [{}]}
    found = read_deployment(deployment(pod=pod, volumeMounts=[{}]), None)
    assert [note.split(" are ")[0].split(" is ")[0] for note in found.left] == [
        "its ServiceAccount web",
        "it has no HTTP livenessProbe: GET /healthz must answer 200, or set spec.health.livenessPath",
        "volumes",
        "its init containers",
    ]


def test_a_probe_with_a_query_is_reported_and_left_out() -> None:
    found = read_deployment(deployment(readinessProbe={"httpGet": {"path": "/metrics?name=up"}}), None)
    assert "health" not in taken_over(found)
    output = "its readinessProbe uses /metrics?name=up, but queries are not supported: GET /readyz is used"
    assert any(note.startswith(output) for note in found.left)


def test_a_container_that_is_not_there_and_a_child_of_ours_are_refused() -> None:
    with pytest.raises(Rejected, match="has no container app; pass one of server as --container"):
        read_deployment(deployment(), "app")
    ours = deployment()
    ours["metadata"]["ownerReferences"] = [{"kind": "ScalableApp", "name": "web"}]
    with pytest.raises(Rejected, match="kubectl scalableapp explain shop/web"):
        read_deployment(ours, None)


def test_replicas_follow_the_load_of_then_and_save_what_idled() -> None:
    made = advice()
    assert parse_spec(made.manifest["spec"]).image == "web:1"
    # 400m a pod, 80 % of its request: 1.8 cores take 5 within the tolerance of 10 %, 0.2 would take 1; minReplicas 2.
    assert made.manifest["spec"]["scaling"]["horizontal"] == {
        "minReplicas": 2,
        "maxReplicas": 8,
        "metrics": [{"type": "CPU", "target": "400m"}, {"type": "RequestsPerSecond", "target": "40"}],
    }
    assert (min(made.scaled.replicas), max(made.scaled.replicas)) == (2, 5)
    assert made.today.replicas[0] == 5
    today, scaled = made.today.figures(PRICES), made.scaled.figures(PRICES)
    assert scaled["replicas"]["average"] < 4
    assert scaled["costOf30Days"] < today["costOf30Days"]
    assert today["costOf30Days"] == round(5 * (0.5 * 0.03 + 1 * 0.004) * 720, 2)


def test_a_week_comes_to_what_the_page_shows() -> None:
    """docs/plugin.md has this week as promtool wrote it, and the cost that is printed for it."""
    page = (Path(__file__).parents[4] / "docs/plugin.md").read_text()
    shown = {
        name: float(cost)
        for name, cost in re.findall(r"^# (today|Horizontal|Vertical) .*?(\d+\.\d\d)  +cpu", page, re.MULTILINE)
    }
    times = [START + 303 * index for index in range(7 * DAY // 303)]
    memory = [UsageSample(at, ((180 + 40 * wave(at)) * 2**20,) * 5) for at in times]
    cpu = [UsageSample(at, (wave(at) / 5,) * 5) for at in times]
    made = advice(used=UsageHistory(303.0, {MetricType.CPU: tuple(cpu), MetricType.MEMORY: tuple(memory)}))
    costs = [plan.figures(PRICES)["costOf30Days"] for plan in (made.today, made.scaled, made.sized)]
    assert costs == [pytest.approx(shown[name], rel=0.03) for name in ("today", "Horizontal", "Vertical")]


def test_memory_is_what_the_largest_pod_took_and_its_margin_and_cpu_stays_the_measure_of_a_pod() -> None:
    made = advice()
    assert made.manifest["spec"]["resources"] == {
        "requests": {"cpu": "500m", "memory": "234Mi"},  # the bucket that 200Mi falls into, and 15 %
        "limits": {"cpu": "1", "memory": "468Mi"},
    }
    assert made.sized.size.cpu.request is not None
    assert made.sized.size.cpu.request < 0.5


def test_the_bounds_of_an_hpa_are_kept() -> None:
    made = advice(Bounds("web", 3, 4))
    horizontal = made.manifest["spec"]["scaling"]["horizontal"]
    assert (horizontal["minReplicas"], horizontal["maxReplicas"]) == (3, 4)
    assert set(made.scaled.replicas) == {3, 4}
    assert any("HPA web currently scales the Deployment" in note for note in made.notes)


def test_without_requests_of_cpu_the_size_is_taken_from_the_usage() -> None:
    made = advice(resources={})
    resources = made.manifest["spec"]["resources"]
    assert resources["requests"]["memory"] == "234Mi"
    assert resources["limits"] == {}
    assert parse_spec(made.manifest["spec"]).resources.requests["cpu"] == resources["requests"]["cpu"]


def test_what_else_a_container_requests_is_kept_and_no_limit_is_made_up() -> None:
    requests = {"cpu": "500m", "memory": "2Gi", "example.com/gpu": "1"}
    made = advice(resources={"requests": requests, "limits": {"example.com/gpu": "1"}})
    assert made.manifest["spec"]["resources"] == {
        "requests": {"cpu": "500m", "memory": "234Mi", "example.com/gpu": "1"},
        "limits": {"example.com/gpu": "1"},
    }


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((MetricType.CPU,), "container_memory_working_set_bytes is missing: memory stays as it is"),
        ((MetricType.CPU,), "http_requests_total is missing: nothing was scaled on requests/s"),
    ],
)
def test_what_was_not_measured_is_reported(kinds: tuple[MetricType, ...], expected: str) -> None:
    assert expected in advice(used=usage(kinds=kinds)).notes


def test_without_cpu_there_is_no_advice() -> None:
    with pytest.raises(MetricsUnavailable, match="0 samples of container_cpu_usage_seconds_total of container server"):
        advice(used=usage(kinds=(MetricType.MEMORY,)))


DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/web"
HPAS = "/apis/autoscaling/v1/namespaces/shop/horizontalpodautoscalers"
PROXY = "/api/v1/namespaces/scalableapp-system/services/prometheus:9090/proxy/api/v1"


def prometheus(asked: Asked) -> Any:
    """Two pods with half a core each; nothing but CPU is known."""
    found = []
    if "cpu_usage" in asked.query["query"]:
        assert 'container="server"' in asked.query["query"]
        assert 'pod=~"(?:web)-' in asked.query["query"]
        start, end, step = (float(asked.query[name]) for name in ("start", "end", "step"))
        times = [start + step * index for index in range(int((end - start) // step) + 1)]
        found = [{"metric": {"pod": pod}, "values": [[at, "0.5"] for at in times]} for pod in ("web-a", "web-b")]
    return {"status": "success", "data": {"resultType": "matrix", "result": found}}


@pytest.fixture
def measured(terminal: Terminal) -> Terminal:
    terminal.known |= {
        DEPLOYMENT: deployment(2),
        HPAS: {"items": []},
        f"{PROXY}/query": {"status": "success"},
        f"{PROXY}/query_range": prometheus,
    }
    return terminal


async def test_what_is_printed_can_be_applied(measured: Terminal) -> None:
    status, out, err = await measured.run("recommend", "deployment/web", "--since", "1d")
    assert (status, err) == (0, "")
    (manifest,) = yaml.safe_load_all(out)
    assert (manifest["kind"], manifest["metadata"]) == ("ScalableApp", {"name": "web-scaled", "namespace": "shop"})
    assert parse_spec(manifest["spec"]).port == 9000
    assert "# today " in out
    assert measured.asked("PATCH") == measured.asked("POST") == []


async def test_programs_get_stable_keys(measured: Terminal) -> None:
    prices = ("--core-hour", "0.03", "--gibibyte-hour", "0.004")
    _, out, _ = await measured.run("recommend", "deploy/web", "--since", "1d", *prices, "-o", "json")
    output = json.loads(out)
    assert list(output) == [
        *("deployment", "from", "to", "stepSeconds", "samples"),
        *("today", "horizontal", "vertical", "notes", "manifest"),
    ]
    assert output["today"]["replicas"] == {"min": 2, "average": 2.0, "max": 2}
    assert output["horizontal"]["replicas"]["max"] == 3  # 1 core at 400m a pod
    assert {"requestedCores", "requestedGibibytes", "costOf30Days", "resources"} < set(output["today"])


@pytest.mark.parametrize(
    ("arguments", "changes", "expected"),
    [
        (["service/web"], {}, "'service/web' is not a Deployment; write deployment/NAME"),
        (["web", "--core-hour", "1"], {}, "pass --core-hour and --gibibyte-hour"),
        (["web", "--core-hour", "x", "--gibibyte-hour", "1"], {}, "write numbers, as in 0.03"),
        (["web"], {DEPLOYMENT: Refusal(404, "not found")}, "There is no Deployment web in namespace shop"),
        (["web"], {DEPLOYMENT: Refusal(403, 'User "u" cannot get')}, "can-i get deployments -n shop"),
        (["web"], {f"{PROXY}/query": Refusal(503, "no endpoints")}, "check whether Prometheus runs"),
    ],
    ids=["another kind", "one price", "no price", "no Deployment", "forbidden", "no Prometheus"],
)
async def test_what_is_wrong_is_reported(
    measured: Terminal, arguments: list[str], changes: dict[str, Any], expected: str
) -> None:
    measured.known |= changes
    status, out, err = await measured.run("recommend", *arguments)
    assert (status, out) == (1, "")
    assert expected in err
