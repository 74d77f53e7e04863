"""Workloads as they are met in the field, each on a real API server: what `adopt` makes of them.

The table states what a ScalableApp gets of each, and which fields have no counterpart.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from aiohttp import web

from benchmarks.faults.proxy import Fault
from scalableapp.core.api.spec import parse_spec
from tests.adopt.conftest import Terminal, install
from tests.control_plane import ControlPlane, FaultProxy

pytestmark = pytest.mark.process

WORKLOADS = Path(__file__).parent / "workloads"
PLURALS = {
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "Rollout": "rollouts",
    "Fleet": "fleets",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "ScaledObject": "scaledobjects",
    "VerticalPodAutoscaler": "verticalpodautoscalers",
}


class Case(NamedTuple):
    """What is adopted, its bounds and metrics, further fields, and the fields that have no counterpart."""

    target: str
    bounds: tuple[int, int]
    metrics: tuple[dict[str, Any], ...]
    more: dict[str, Any] = {}  # noqa: RUF012 - never changed
    left: tuple[str, ...] = ()
    note: str = ""
    pinned: int | None = None


def cpu(target: str, **more: Any) -> dict[str, Any]:
    return {"type": "CPU", "target": target, **more}


def memory(target: str, **more: Any) -> dict[str, Any]:
    return {"type": "Memory", "target": target, **more}


def query(text: str, target: str, **more: Any) -> dict[str, Any]:
    return {"type": "Prometheus", "target": target, "query": text, **more}


CASES = {
    "web-with-sidecar": Case("deployment/web", (3, 12), (cpu("60%"),)),
    "no-metric": Case("deployment/shop", (1, 5), (cpu("80%"),)),
    "cpu-and-memory": Case("hpa/api", (4, 40), (cpu("70%"), memory("80%"))),
    "memory-of-a-cache": Case("deployment/cache", (2, 6), (memory("75%"),)),
    "one-container": Case("deployment/edge", (2, 8), (cpu("75%", container="nginx"),)),
    "sidecar-without-request": Case(
        "deployment/maps",
        (1, 5),
        (cpu("50%"),),
        note="cannot scale yet: metric CPU has the target 50% of the cpu request",
    ),
    "behavior": Case(
        "deployment/search",
        (6, 60),
        (cpu("65%"),),
        {
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 30,
                    "selectPolicy": "Min",
                    "policies": [
                        {"type": "Pods", "value": 10, "periodSeconds": 60},
                        {"type": "Percent", "value": 50, "periodSeconds": 60},
                    ],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": 900,
                    "policies": [{"type": "Percent", "value": 10, "periodSeconds": 120}],
                },
            }
        },
    ),
    "tolerance": Case(
        "deployment/quotes",
        (2, 30),
        (cpu("50%"),),
        {"behavior": {"scaleUp": {"tolerance": "50m"}, "scaleDown": {"tolerance": "200m"}}},
    ),
    "never-down": Case(
        "deployment/chat", (2, 10), (cpu("70%"),), {"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}
    ),
    "absolute-amounts": Case("deployment/render", (1, 4), (cpu("1500m"), memory("3Gi"))),
    "of-version-1": Case("deployment/forum", (2, 6), (cpu("90%"),)),
    "statefulset-of-three": Case(
        "statefulset/broker", (3, 9), (cpu("75%"),), note="of a StatefulSet, one pod a minute is removed"
    ),
    "statefulset-losing-volumes": Case(
        "sts/index", (2, 6), (cpu("80%"),), note="each pod that is removed loses its volumes"
    ),
    "rollout": Case("rollout/checkout", (4, 16), (cpu("60%"),), note="needs rights on rollouts"),
    "worker": Case("deployment/mailer", (2, 6), (cpu("80%"),), note="this is a starting point"),
    "spring": Case("deployment/orders", (2, 20), (cpu("80%"), {"type": "RequestsPerSecond", "target": "50"})),
    "django": Case("deployment/portal", (3, 9), (cpu("80%", container="django"),)),
    "gauge-of-pods": Case(
        "deployment/php",
        (2, 10),
        (
            query(
                'sum(phpfpm_active_processes{namespace="$namespace",pool="www",pod=~"php-[a-z0-9]+-[a-z0-9]+"})',
                "8",
                name="phpfpm_active_processes",
            ),
        ),
        note="kubectl describe hpa shows",
    ),
    "rate-of-a-statefulset": Case(
        "statefulset/ingest",
        (2, 10),
        (
            query(
                'sum(rate(events_total{namespace="$namespace",pod=~"ingest-[0-9]+"}[2m]))',
                "1500",
                name="events_per_second",
            ),
        ),
    ),
    "external-metric": Case("deployment/consumer", (1, 10), (cpu("80%"),), left=("hpa/consumer spec.metrics[0]",)),
    "object-metric": Case(
        "deployment/landing",
        (1, 10),
        (cpu("80%"),),
        left=("hpa/landing spec.metrics[0]",),
        note="CPU at 80 % of the request is used until you add one",
    ),
    "custom-kind": Case("fleet/arena", (5, 50), (cpu("250m"),)),
    "keda-office-hours": Case(
        "deployment/tickets",
        (2, 30),
        (query('sum(rate(http_requests_total{namespace="$namespace", app="tickets"}[2m]))', "100"),),
        {
            "schedules": [
                {
                    "name": "office",
                    "start": "0 7 * * 1-5",
                    "end": "0 19 * * 1-5",
                    "timezone": "Europe/Berlin",
                    "minReplicas": 10,
                }
            ]
        },
        note='namespace="$namespace" was added to its query',
    ),
    "keda-to-zero": Case(
        "scaledobject/thumbnails-scaler",
        (0, 12),
        (query('max(thumbnails_waiting{namespace="keda-to-zero"})', "25", targetType="Value", activationTarget="2"),),
        left=("scaledobject/thumbnails-scaler spec.cooldownPeriod",),
        note="(QUERY) or vector(0)",
    ),
    "keda-cpu-and-memory": Case("deployment/billing", (2, 8), (cpu("60%"), memory("400Mi", container="billing"))),
    "keda-rabbitmq": Case(
        "deployment/invoices",
        (1, 100),
        (cpu("70%"),),
        left=("scaledobject/invoices spec.triggers[0]", "scaledobject/invoices spec.minReplicaCount"),
    ),
    "keda-azure-queue-alone": Case(
        "deployment/exports",
        (1, 100),
        (cpu("80%"),),
        left=("scaledobject/exports spec.triggers[0]", "scaledobject/exports spec.minReplicaCount"),
        note="CPU at 80 % of the request is used until you add one",
    ),
    "keda-fallback": Case(
        "deployment/pricing",
        (3, 60),
        (query('sum(rate(http_requests_total{namespace="keda-fallback", app="pricing"}[1m]))', "80", name="requests"),),
        {
            "behavior": {
                "scaleDown": {
                    "stabilizationWindowSeconds": 120,
                    "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
                }
            },
            "fallback": {"afterSeconds": 120, "behavior": "CurrentIfHigher", "replicas": 12},
        },
        left=("scaledobject/pricing spec.advanced.restoreToOriginalReplicaCount",),
        note="authenticationRef",
    ),
    "keda-series-of-the-ingress": Case(
        "deployment/store", (2, 20), (cpu("75%"),), left=("scaledobject/store spec.triggers[0].metadata.query",)
    ),
    "keda-formula": Case(
        "deployment/feed",
        (2, 20),
        (cpu("80%"),),
        left=(
            "scaledobject/feed spec.triggers[0]",
            "scaledobject/feed spec.triggers[1]",
            "scaledobject/feed spec.advanced.scalingModifiers",
        ),
    ),
    "keda-paused": Case(
        "deployment/legacy",
        (1, 6),
        (cpu("50%"),),
        {"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}},
        pinned=4,
    ),
    "keda-idle": Case(
        "deployment/reports",
        (2, 5),
        (query('sum(reports_waiting{namespace="keda-idle"}) or vector(0)', "3"),),
        left=("scaledobject/reports spec.idleReplicaCount",),
    ),
    "vpa-that-recommends": Case("deployment/catalog", (2, 6), (cpu("70%"),), note="changes none (updateMode Off)"),
    "vpa-of-memory": Case(
        "deployment/profiles",
        (2, 6),
        (cpu("70%"),),
        left=(
            "vpa/profiles spec.updatePolicy.updateMode",
            "vpa/profiles spec.updatePolicy.minReplicas",
            "vpa/profiles spec.resourcePolicy.containerPolicies[0]",
        ),
        note="vpa/profiles may stay",
    ),
    "vpa-at-creation": Case(
        "vpa/ledger",
        (2, 6),
        (cpu("80%"),),
        left=("vpa/ledger spec.updatePolicy.updateMode",),
        note="this is a starting point",
    ),
}
REFUSED = {
    "two-hpas": ("deployment/torn", "is scaled by hpa/by-chart and hpa/by-hand"),
    "without-requests": ("deployment/blog", "no container in its template requests CPU"),
}


def apply(plane: ControlPlane, name: str) -> None:
    """The objects of a file, in a namespace of its name."""
    plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    for document in yaml.safe_load_all((WORKLOADS / f"{name}.yaml").read_text()):
        if document["kind"] == "CustomResourceDefinition":
            install(plane, document)
        else:
            plane.ask("POST", path_of(name, document), document)


def path_of(namespace: str, manifest: dict[str, Any]) -> str:
    return f"/apis/{manifest['apiVersion']}/namespaces/{namespace}/{PLURALS[manifest['kind']]}"


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=CASES.keys())
def test_a_workload_becomes_a_scalable_app_that_the_api_server_takes(
    plane: ControlPlane, terminal: Terminal, name: str, case: Case
) -> None:
    apply(plane, name)
    answer = terminal.adopt("-n", name, case.target, "-o", "json")
    (item,) = answer.json["items"]
    assert tuple(left["field"] for left in item["noCounterpart"]) == case.left
    assert answer.status == (3 if case.left else 0)

    scaling = item["manifest"]["spec"]["scaling"]
    horizontal = dict(scaling["horizontal"])
    assert scaling["dryRun"] is True
    assert (horizontal.pop("minReplicas"), horizontal.pop("maxReplicas")) == case.bounds
    assert tuple(horizontal.pop("metrics")) == case.metrics
    assert horizontal == case.more
    assert item["manifest"]["spec"].get("replicas") == case.pinned
    assert case.note in " ".join(item["notes"])
    assert "s3cret" not in answer.out

    printed = terminal.adopt("-n", name, case.target).out
    assert yaml.safe_load(printed) == item["manifest"]
    taken = plane.ask("POST", f"/apis/scalableapp.io/v1alpha1/namespaces/{name}/scalableapps", yaml.safe_load(printed))
    parse_spec(taken["spec"])


@pytest.mark.parametrize(("name", "refusal"), REFUSED.items(), ids=REFUSED.keys())
def test_what_cannot_be_decided_is_refused_with_what_to_do(
    plane: ControlPlane, terminal: Terminal, name: str, refusal: tuple[str, str]
) -> None:
    apply(plane, name)
    answer = terminal.adopt("-n", name, refusal[0])
    assert (answer.status, answer.out) == (1, "")
    assert refusal[1] in answer.err


def test_every_workload_of_the_folder_is_tried() -> None:
    assert {path.stem for path in WORKLOADS.iterdir()} == CASES.keys() | REFUSED.keys()


def test_of_a_whole_namespace_all_that_something_scales_is_adopted(plane: ControlPlane, terminal: Terminal) -> None:
    names = ("web-with-sidecar", "keda-fallback", "vpa-at-creation", "two-hpas", "worker")
    plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "whole"}})
    for name in names:
        for document in yaml.safe_load_all((WORKLOADS / f"{name}.yaml").read_text()):
            plane.ask("POST", path_of("whole", document), document)
    keda_hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": "keda-hpa-pricing",
            "ownerReferences": [
                {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "pricing", "uid": "1"}
            ],
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "pricing"},
            "maxReplicas": 9,
        },
    }
    plane.ask("POST", path_of("whole", keda_hpa), keda_hpa)

    answer = terminal.adopt("-n", "whole", "--all", "-o", "json")
    assert answer.status == 3
    assert [item["target"] for item in answer.json["items"]] == ["deployment/pricing", "deployment/web"]
    assert [item["target"] for item in answer.json["leftOut"]] == ["deployment/ledger", "deployment/torn"]

    printed = terminal.adopt("-n", "whole", "--all").out
    apps = [document for document in yaml.safe_load_all(printed) if document]
    assert [app["metadata"]["name"] for app in apps] == ["pricing", "web"]
    for app in apps:
        plane.ask("POST", "/apis/scalableapp.io/v1alpha1/namespaces/whole/scalableapps", app)
    again = terminal.adopt("-n", "whole", "--all", "-o", "json").json
    assert again["items"] == []
    assert "ScalableApp web already has this target" in again["leftOut"][-1]["why"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "name what to adopt, as in deployment/web, or pass --all"),
        (("deployment/web", "--all"), "name what to adopt"),
        (("--all", "--release-replicas"), "name each, as in deployment/web"),
        (("web",), "'web' names nothing that can be adopted; write deployment/NAME"),
        (("daemonset/web",), "names nothing that can be adopted"),
        (("deployment/absent",), "There is no Deployment absent (apps/v1) in namespace default"),
        (("hpa/absent",), "There is no HorizontalPodAutoscaler absent in namespace default"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_arguments_that_name_nothing_are_refused(terminal: Terminal, arguments: tuple[str, ...], expected: str) -> None:
    answer = terminal.adopt("-n", "default", *arguments)
    assert (answer.status, answer.out) == (1, "")
    assert expected in answer.err


def test_without_the_right_to_see_what_scales_it_nothing_is_made_up(plane: ControlPlane, terminal: Terminal) -> None:
    async def no_scaled_objects(request: web.Request) -> web.StreamResponse | None:
        if "scaledobjects" not in request.path:
            return None
        message = 'scaledobjects.keda.sh is forbidden: User "u" cannot list resource "scaledobjects"'
        return web.json_response({"kind": "Status", "message": message, "code": 403}, status=403)

    plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "unseen"}})
    for document in yaml.safe_load_all((WORKLOADS / "worker.yaml").read_text()):
        plane.ask("POST", path_of("unseen", document), document)
    with FaultProxy(plane) as proxy, proxy.fault(Fault(no_scaled_objects)):
        answer = terminal.through(proxy.url).adopt("-n", "unseen", "deployment/mailer")
    assert (answer.status, answer.out) == (1, "")
    assert "the rule apiGroups: [keda.sh], resources: [scaledobjects], verbs: [list] in namespace unseen" in answer.err


def test_one_of_two_autoscalers_may_be_chosen(plane: ControlPlane, terminal: Terminal) -> None:
    plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "chosen"}})
    for document in yaml.safe_load_all((WORKLOADS / "two-hpas.yaml").read_text()):
        plane.ask("POST", path_of("chosen", document), document)
    (item,) = terminal.adopt("-n", "chosen", "hpa/by-hand", "-o", "json").json["items"]
    assert item["manifest"]["spec"]["scaling"]["horizontal"]["maxReplicas"] == 3
    assert item["notes"] == ["hpa/by-chart also scales it and was not converted; only one of the two can stay"]
