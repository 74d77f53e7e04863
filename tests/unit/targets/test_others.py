"""Whoever else sets the replicas of a workload is named, and left alone."""

import pytest

from scalableapp.engine.informers import Informers
from tests.unit.targets.scene import Scene
from tests.unit.targets.test_scaling import running

pytestmark = pytest.mark.process
HPAS = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"


def make_hpa(scene: Scene, target: str = "web") -> None:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
    spec = {"scaleTargetRef": ref, "maxReplicas": 9, "metrics": [cpu]}
    scene.plane.ask("POST", HPAS.format(scene.namespace), {"metadata": {"name": f"hpa-{target}"}, "spec": spec})


async def look_for_autoscalers(scene: Scene) -> None:
    informers = Informers(scene.registry, scene.targets.queue, scene.client, {}, (scene.namespace,))
    await informers.refresh_autoscalers()


async def test_an_hpa_is_waited_for_and_then_nothing_drops(scene: Scene) -> None:
    key = await running(scene, pods=3)
    make_hpa(scene)
    make_hpa(scene, "other")
    await look_for_autoscalers(scene)
    scene.use(key, web=0.05, proxy=0.01)
    await scene.tick(70)
    status, reason, message = scene.condition(key, "ScalingActive")
    assert (status, reason) == ("False", "WaitingForHandOver")
    assert "HorizontalPodAutoscaler" in message
    assert "hpa-web" in message
    scene.plane.ask("DELETE", HPAS.format(scene.namespace) + "/hpa-web")
    await look_for_autoscalers(scene)
    await scene.tick(50)
    assert scene.get("Deployment")["spec"]["replicas"] == 3  # as if recommended just now
    await scene.tick(15)
    assert scene.get("Deployment")["spec"]["replicas"] == 1


async def test_it_yields_again_when_the_hpa_is_back(scene: Scene) -> None:
    key = await running(scene)
    make_hpa(scene)
    await look_for_autoscalers(scene)
    scene.use(key, web=0.6, proxy=0.12)
    await scene.tick(3)
    assert scene.condition(key, "ScalingActive")[1] == "WaitingForHandOver"
    assert scene.get("Deployment")["spec"]["replicas"] == 2


async def test_a_dry_run_shows_its_number_beside_the_hpas(scene: Scene) -> None:
    key = await running(scene, dryRun=True)
    make_hpa(scene)
    await look_for_autoscalers(scene)
    scene.use(key, web=0.6, proxy=0.12)
    await scene.tick(2)
    assert scene.status(key)["decision"]["message"].startswith("would scale 2 -> 4")
    assert scene.condition(key, "Conflicted")[0] == "False"
    assert scene.get("Deployment")["spec"]["replicas"] == 2


async def test_an_app_in_dry_run_that_has_not_read_its_workload_yet_warns_of_nothing(scene: Scene) -> None:
    scene.make(replicas=1)
    make_hpa(scene)
    key = scene.app(dryRun=True)
    await look_for_autoscalers(scene)
    await scene.settle()
    assert scene.condition(key, "Ready")[1] == "TargetPending"
    assert scene.condition(key, "Conflicted")[0] == "False"
    assert scene.events() == {}


async def test_who_resets_replicas_three_times_is_named_and_not_fought(scene: Scene) -> None:
    key = await running(scene)
    for _ in range(3):
        scene.use(key, web=0.6, proxy=0.12)
        await scene.tick(1)
        await scene.until(lambda: scene.record(key).deployment.replicas == 4)  # type: ignore[union-attr] # it is known
        assert scene.get("Deployment")["spec"]["replicas"] == 4
        scene.patch("Deployment", "web", {"spec": {"replicas": 2}}, manager="argocd-controller")
        await scene.until(lambda: scene.record(key).deployment.replicas == 2)  # type: ignore[union-attr] # as above
        await scene.tick(3)
    await scene.tick(10)
    status, reason, message = scene.condition(key, "Conflicted")
    assert (status, reason) == ("True", "ReplicasOwnedElsewhere")
    assert "'argocd-controller' set the replicas of Deployment" in message
    assert "RespectIgnoreDifferences" in message
    assert scene.condition(key, "ScalingActive")[1] == "ReplicasOwnedElsewhere"
    assert scene.get("Deployment")["spec"]["replicas"] == 2
    await scene.tick(120)
    assert scene.get("Deployment")["spec"]["replicas"] == 4
