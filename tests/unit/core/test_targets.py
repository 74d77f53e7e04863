"""What percentages of a request stand for, and what is said where there is none."""

from typing import Any

import pytest

from scalableapp.core.api.spec import parse_spec
from scalableapp.core.targets import InvalidTarget, as_deployed, computable, template_of
from scalableapp.errors import SpecError
from tests.spec_cases import REQUESTS, Spec, metric, target, target_metrics


def workload(*containers: Spec, sidecars: tuple[Spec, ...] = ()) -> Spec:
    return {"spec": {"template": {"spec": {"containers": list(containers), "initContainers": list(sidecars)}}}}


def container(name: str = "web", limits: Spec | None = None, **requests: Any) -> Spec:
    return {"name": name, "resources": {"requests": requests, **({"limits": limits} if limits else {})}}


WEB, PROXY = container(cpu="500m", memory="256Mi"), container("proxy", cpu="100m", memory="64Mi")


@pytest.mark.parametrize(
    ("stated", "body", "amount"),
    [
        pytest.param(metric(target="60%"), workload(WEB), "300m", id="of one container"),
        pytest.param(metric(target="60%"), workload(WEB, PROXY), "360m", id="of all containers in sum"),
        pytest.param(metric(target="60%", container="web"), workload(WEB, PROXY), "300m", id="of the named container"),
        pytest.param(
            metric(target="60%"), workload(WEB, sidecars=(PROXY | {"restartPolicy": "Always"},)), "360m", id="sidecar"
        ),
        pytest.param(
            metric(target="60%"), workload(WEB, sidecars=(PROXY,)), "300m", id="what ends before the pod starts"
        ),
        pytest.param(
            metric(target="60%"), workload(container(limits={"cpu": "2"})), "1200m", id="a limit is a request"
        ),
        pytest.param(metric("Memory", target="75%"), workload(WEB), "192Mi", id="memory"),
        pytest.param(metric("Memory", target="33%"), workload(WEB), "84.5Mi", id="a fraction of memory"),
        pytest.param(metric(target="300m"), workload(container()), "300m", id="an amount needs no request"),
    ],
)
def test_a_percentage_is_an_amount_of_what_the_template_requests(stated: Spec, body: Spec, amount: str) -> None:
    spec = as_deployed(parse_spec(target_metrics(stated)), template_of(body))
    assert spec.metrics[0].target == amount


def test_without_metrics_the_default_is_80_percent_of_the_cpu_request() -> None:
    assert as_deployed(parse_spec(target()), template_of(workload(WEB, PROXY))).metrics[0].target == "480m"


def test_the_percentage_follows_the_template_and_the_stated_spec_stays() -> None:
    stated = parse_spec(target_metrics(metric(target="60%"), REQUESTS))
    assert as_deployed(stated, template_of(workload(WEB))).metrics[0].target_value == 0.3
    assert as_deployed(stated, template_of(workload(container(cpu="1")))).metrics[0].target_value == 0.6
    assert stated.scaling.horizontal.metrics[0].target == "60%"


@pytest.mark.parametrize(
    ("stated", "body", "message"),
    [
        pytest.param(metric(target="60%"), workload(WEB, container("log")), "container log has none", id="a sidecar"),
        pytest.param(
            metric(target="60%", container="log"),
            workload(WEB, container("log")),
            "container log has none",
            id="the named",
        ),
        pytest.param(
            metric("Memory", target="60%"),
            workload(container(cpu="1")),
            r"add resources\.requests\.memory",
            id="memory",
        ),
        pytest.param(
            metric(container="wbe"), workload(WEB, PROXY), "the template has only proxy, web", id="no such container"
        ),
        pytest.param(metric(target="60%"), {"spec": {}}, r"no spec\.template", id="a kind without a template"),
    ],
)
def test_a_request_that_is_missing_is_named(stated: Spec, body: Spec, message: str) -> None:
    with pytest.raises(InvalidTarget, match=message):
        as_deployed(parse_spec(target_metrics(stated)), template_of(body))


def test_no_metric_and_no_request_is_refused() -> None:
    with pytest.raises(InvalidTarget, match="no metric is stated"):
        as_deployed(parse_spec(target()), template_of(workload(container())))


def test_the_limits_of_the_pod_are_known_where_all_containers_have_one() -> None:
    limited = container(cpu="1", limits={"cpu": "2"})
    assert as_deployed(parse_spec(target()), template_of(workload(limited))).resources.limits == {"cpu": "2"}
    assert as_deployed(parse_spec(target()), template_of(workload(limited, PROXY))).resources.limits == {}


def down_policies(kind: str, **behavior: Any) -> list[tuple[str, int, int]]:
    ref = {"apiVersion": "apps/v1", "kind": kind, "name": "web"}
    stated = parse_spec(target(targetRef=ref, scaling={"horizontal": {"behavior": {"scaleDown": behavior}}}))
    rules = as_deployed(stated, template_of(workload(WEB))).scaling.horizontal.behavior.scale_down
    return [(policy.type, policy.value, policy.period_seconds) for policy in rules.policies]


def test_members_of_a_stateful_set_leave_one_a_minute_unless_a_rate_is_stated() -> None:
    stated = {"type": "Pods", "value": 3, "periodSeconds": 30}
    assert down_policies("StatefulSet") == [("Pods", 1, 60)]
    assert down_policies("StatefulSet", policies=[stated]) == [("Pods", 3, 30)]
    assert down_policies("Deployment") == [("Percent", 100, 15)]


@pytest.mark.parametrize("spec", [target(), target_metrics(metric(target="60%"))], ids=["no metric", "a percentage"])
def test_what_only_the_template_tells_cannot_be_computed_without_it(spec: Spec) -> None:
    with pytest.raises(SpecError, match="write an amount"):
        computable(parse_spec(spec))


def test_amounts_can_be_computed_without_the_template() -> None:
    stated = parse_spec(target_metrics(metric(target="300m")))
    assert computable(stated) is stated
