"""The pod's own words reach the conditions."""

from scalableapp.core.model import AppKey, PodState
from tests.unit.engine.fakes import START
from tests.unit.engine.world import World

CONFIG_ERROR = "container app: CreateContainerConfigError: container has runAsNonRoot and image will run as root"


async def deployed(world: World) -> AppKey:
    key = world.create()
    await world.settle()
    await world.tick()
    return key


async def see_pod(world: World, key: AppKey, name: str, message: str = "", *, ready: bool = False) -> None:
    """The watch on pods brings one, as follow_pods does."""
    pod = PodState(name, "Running" if ready else "Pending", ready, False, START, message=message)
    if due := world.registry.pod_seen(key, pod):
        world.queue.add(due, world.clock())
    await world.settle()


async def test_what_keeps_pods_from_starting_is_reported_at_once_and_once(world: World) -> None:
    key = await deployed(world)
    await see_pod(world, key, "web-1")
    assert world.condition(key, "Ready") == ("False", "PodsNotReady")
    await see_pod(world, key, "web-1", CONFIG_ERROR)
    assert world.condition(key, "Ready") == ("False", "PodsFailing")
    assert f"pod web-1: {CONFIG_ERROR}" in world.message(key, "Ready")
    await see_pod(world, key, "web-1", CONFIG_ERROR)
    warnings = [event for event in world.cluster.events if event.type == "Warning"]
    assert [event.reason for event in warnings] == ["PodsFailing"]
    assert CONFIG_ERROR in warnings[0].message


async def test_of_many_the_message_of_most_is_reported(world: World) -> None:
    key = await deployed(world)
    for number, message in enumerate(["Unschedulable: full", CONFIG_ERROR, CONFIG_ERROR]):
        await see_pod(world, key, f"web-{number}", message)
    await world.settle()
    assert f"pod web-1: {CONFIG_ERROR}" in world.message(key, "Available")


async def test_an_app_that_serves_is_ready_whatever_one_pod_says(world: World) -> None:
    key = await world.running()
    await see_pod(world, key, "web-9", CONFIG_ERROR)
    assert world.condition(key, "Ready")[0] == "True"


QUOTA = 'pods "web-{}" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1'


async def see_refusal(world: World, key: AppKey, pod: str) -> None:
    """The Deployment's controller tries once more to create a pod."""
    deployment = world.cluster.objects["Deployment", key]
    message = QUOTA.format(pod)
    refusal = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    deployment["status"] = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "conditions": [refusal]}
    world.cluster.put(deployment)
    await world.settle()


async def test_pods_that_a_quota_refuses_are_reported_in_its_words_at_once_and_once(world: World) -> None:
    key = await world.running()
    for pod in ("a1b2c", "d3e4f"):
        await see_refusal(world, key, pod)
    assert world.condition(key, "Ready") == ("False", "ReplicaFailure")
    assert "1 of 2 pods are ready; pods cannot be created: exceeded quota: small" in world.message(key, "Ready")
    assert world.cluster.verbs().count("status") == 1
    assert [event.reason for event in world.cluster.events] == ["ReplicaFailure"]
    await world.run_pods(key, rps_each=50)
    assert world.condition(key, "Ready") == ("True", "InSync")
