"""What is rare: single fields of HPAs and ScaledObjects, and that none of them makes a ScalableApp that is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalableapp.commands.adopt.app import Adopted, Found, adopt
from scalableapp.commands.adopt.workload import Workload
from scalableapp.core.api.spec import parse_spec

Manifest = dict[str, Any]
QUERY = "sum(rate(http_requests_total[1m]))"


def workload(**spec: Any) -> Workload:
    containers = [{"name": "web", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]
    manifest = {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 3, "template": {"spec": {"containers": containers}}, **spec},
    }
    return Workload("apps/v1", manifest)


def of_hpa(**spec: Any) -> Adopted:
    hpa = {"metadata": {"name": "web"}, "spec": {"minReplicas": 2, "maxReplicas": 9, **spec}}
    return adopt(Found(workload(), hpas=[hpa]), "web")


def of_scaled_object(*triggers: Manifest, annotations: Manifest | None = None, **spec: Any) -> Adopted:
    metadata = {"name": "web", "annotations": annotations or {}}
    scaled = {"metadata": metadata, "spec": {"scaleTargetRef": {"name": "web"}, "triggers": list(triggers), **spec}}
    return adopt(Found(workload(), scaled_objects=[scaled]), "web")


def horizontal(adopted: Adopted) -> Manifest:
    found: Manifest = adopted.manifest["spec"]["scaling"]["horizontal"]
    return found


def left(adopted: Adopted) -> dict[str, str]:
    return {entry.field.partition(" ")[2]: entry.why for entry in adopted.left}


def pods(name: str, **selector: Any) -> Manifest:
    metric = {"name": name, "selector": selector} if selector else {"name": name}
    return {"type": "Pods", "pods": {"metric": metric, "target": {"type": "AverageValue", "averageValue": "5"}}}


def cpu(percent: int, container: str = "") -> Manifest:
    target = {"type": "Utilization", "averageUtilization": percent}
    if container:
        source = {"name": "cpu", "container": container, "target": target}
        return {"type": "ContainerResource", "containerResource": source}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def prometheus(query: str = QUERY, threshold: str = "10", **metadata: str) -> Manifest:
    return {"type": "prometheus", "metadata": {"query": query, "threshold": threshold, **metadata}}


def cron(start: str = "0 8 * * *", end: str = "0 18 * * *", desired: str = "5", zone: str = "UTC") -> Manifest:
    metadata = {"start": start, "end": end, "desiredReplicas": desired, "timezone": zone}
    return {"type": "cron", "metadata": metadata}


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        (pods("istio-requests"), "write its query"),
        (pods("x", matchExpressions=[{"key": "a", "operator": "Exists"}]), "write its query"),
        (pods("x", matchLabels={"app.kubernetes.io/name": "a"}), "it is not valid PromQL"),
        (
            {"type": "Resource", "resource": {"name": "ephemeral-storage", "target": {"averageValue": "1Gi"}}},
            "only cpu",
        ),
        ({"type": "Resource", "resource": {"name": "cpu", "target": {"averageValue": "0"}}}, "not greater than 0"),
    ],
)
def test_a_metric_without_a_counterpart_is_named_with_the_reason(metric: Manifest, why: str) -> None:
    adopted = of_hpa(metrics=[metric, cpu(60)])
    assert [each["target"] for each in horizontal(adopted)["metrics"]] == ["60%"]
    assert why in left(adopted)["spec.metrics[0]"]


def test_two_metrics_of_a_kind_have_names_of_their_own() -> None:
    adopted = of_hpa(metrics=[cpu(60), cpu(80, "web"), cpu(90, "web")])
    assert [each.get("name") for each in horizontal(adopted)["metrics"]] == [None, "CPU-2", "CPU-3"]


def test_an_hpa_that_may_scale_to_zero_keeps_a_pod() -> None:
    adopted = of_hpa(minReplicas=0, metrics=[cpu(60)])
    assert horizontal(adopted)["minReplicas"] == 1
    assert "spec.minReplicas" in left(adopted)


def test_a_tolerance_that_is_none_is_named() -> None:
    adopted = of_hpa(metrics=[cpu(60)], behavior={"scaleDown": {"tolerance": "2"}})
    assert "behavior" not in horizontal(adopted)
    assert "is not between 0 and 1" in left(adopted)["spec.behavior"]


@pytest.mark.parametrize(
    ("trigger", "why"),
    [
        (cron(start="@daily"), "is not a cron expression with five fields"),
        (cron(zone="Mars/Olympus"), "is not a time zone"),
        (cron(end="0 8 * * *"), "start and end are both"),
        (cron(desired="many"), "invalid literal"),
        (prometheus(threshold="0"), "not greater than 0"),
        (prometheus(threshold="fast"), "is not a quantity"),
        ({"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60%"}}, "it is not a percentage"),
        ({"type": "kafka", "metadata": {"bootstrapServers": "k:9092"}}, "only prometheus, cron, cpu and memory"),
    ],
)
def test_a_trigger_without_a_counterpart_is_named_with_the_reason(trigger: Manifest, why: str) -> None:
    adopted = of_scaled_object(trigger, prometheus(), minReplicaCount=1)
    assert [each["type"] for each in horizontal(adopted)["metrics"]] == ["Prometheus"]
    assert "schedules" not in horizontal(adopted)
    assert why in left(adopted)["spec.triggers[0]"]


def test_an_app_sleeps_only_if_all_that_wakes_it_was_taken_over() -> None:
    assert horizontal(of_scaled_object(prometheus()))["minReplicas"] == 0
    assert horizontal(of_scaled_object(prometheus(), {"type": "kafka", "metadata": {}}))["minReplicas"] == 1
    assert horizontal(of_scaled_object(cron()))["minReplicas"] == 1


def test_a_schedule_stays_within_the_bounds() -> None:
    adopted = of_scaled_object(
        cron(desired="50"), cron(desired="2"), prometheus(), minReplicaCount=2, maxReplicaCount=20
    )
    assert [each["minReplicas"] for each in horizontal(adopted)["schedules"]] == [20]
    assert "cron-2 asks for no more than minReplicas 2, so it was left out" in adopted.notes


@pytest.mark.parametrize(
    ("behavior", "taken"),
    [
        ({}, {"behavior": "Static", "replicas": 6}),
        ({"behavior": "currentReplicas"}, {}),
        ({"behavior": "currentReplicasIfHigher"}, {"behavior": "CurrentIfHigher", "replicas": 6}),
        ({"behavior": "currentReplicasIfLower"}, {}),
    ],
)
def test_a_fallback_keeps_its_meaning_or_holds(behavior: Manifest, taken: Manifest) -> None:
    adopted = of_scaled_object(
        prometheus(), minReplicaCount=1, pollingInterval=10, fallback={"failureThreshold": 3, "replicas": 6, **behavior}
    )
    assert horizontal(adopted)["fallback"] == {"afterSeconds": 30, **taken}
    assert ("spec.fallback.behavior" in left(adopted)) == (behavior.get("behavior") == "currentReplicasIfLower")


def test_a_pause_goes_on() -> None:
    paused = of_scaled_object(prometheus(), annotations={"autoscaling.keda.sh/paused": "true"})
    assert paused.manifest["spec"]["scaling"]["paused"] is True
    upwards = of_scaled_object(prometheus(), annotations={"autoscaling.keda.sh/paused-scale-out": "true"})
    assert horizontal(upwards)["behavior"] == {"scaleUp": {"selectPolicy": "Disabled"}}


def test_what_controls_the_workload_is_named() -> None:
    owner = {"kind": "Keycloak", "name": "sso", "controller": True}
    found = Found(workload())
    found.workload.manifest["metadata"]["ownerReferences"] = [owner]
    assert "Keycloak sso controls this Deployment and may set its replicas itself" in adopt(found, "web").notes


metrics = st.one_of(
    st.builds(cpu, st.integers(1, 300), st.sampled_from(["", "web", "absent"])),
    st.builds(pods, st.sampled_from(["x", "x_per_second", "http_requests_per_second", "a.b"])),
    st.just({"type": "External", "external": {"metric": {"name": "q"}, "target": {"averageValue": "1"}}}),
)
triggers = st.one_of(
    st.builds(
        prometheus, st.sampled_from([QUERY, "up", "sum(", 'x{namespace="other"}']), st.sampled_from(["1", "0", "k"])
    ),
    st.builds(cron, desired=st.sampled_from(["0", "1", "7", "200"])),
    st.just({"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}),
    st.just({"type": "rabbitmq", "metadata": {"host": "amqp://u:s3cret@h/"}}),
)
bounds = st.tuples(st.integers(0, 5), st.integers(5, 50))


@given(st.lists(metrics, min_size=1, max_size=5), bounds)
@settings(max_examples=40)
def test_every_hpa_makes_a_spec_that_is_valid(chosen: list[Manifest], bounds: tuple[int, int]) -> None:
    adopted = of_hpa(metrics=chosen, minReplicas=bounds[0], maxReplicas=bounds[1])
    spec = parse_spec(adopted.manifest["spec"])
    assert spec.scaling.dry_run
    assert spec.scaling.horizontal.min_replicas == max(1, bounds[0])


@given(st.lists(triggers, min_size=1, max_size=5), bounds)
@settings(max_examples=40)
def test_every_scaled_object_makes_a_spec_that_is_valid_and_shows_no_secret(
    chosen: list[Manifest], bounds: tuple[int, int]
) -> None:
    adopted = of_scaled_object(*chosen, minReplicaCount=bounds[0], maxReplicaCount=bounds[1])
    spec = parse_spec(adopted.manifest["spec"])
    assert spec.scaling.horizontal.min_replicas in (bounds[0], max(1, bounds[0]))
    assert "s3cret" not in repr(adopted)


def test_a_percentage_of_a_template_that_is_elsewhere_is_told() -> None:
    rollout = workload(template=None, workloadRef={"kind": "Deployment", "name": "web"})
    hpa = {"metadata": {"name": "web"}, "spec": {"maxReplicas": 9, "metrics": [cpu(60)]}}
    (note,) = adopt(Found(rollout, hpas=[hpa]), "web").notes
    assert "it cannot scale yet: metric CPU has the target 60% of the cpu request" in note
    assert "write an amount" in note
