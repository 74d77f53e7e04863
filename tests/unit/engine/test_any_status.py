"""Whatever the CRD's schema lets stand in a status, the operator starts from it, and writes its own."""

import copy
from typing import Any

import pytest
from hypothesis import example, given, settings

from scalableapp.core.api.crd import status_schema
from tests.spec_strategies import values
from tests.unit.engine.test_sizes import SPEC as SIZED
from tests.unit.engine.world import SPEC, World

FAR, LONG_AGO = "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"


def remembered(at: str, replicas: int) -> dict[str, Any]:
    return {
        "recommendations": [{"time": at, "replicas": replicas}],
        "scaleEvents": [{"time": at, "change": replicas}],
        "outage": {"time": at, "replicas": replicas},
        "surplus": {"podSeconds": replicas, "replicas": replicas},
        "desiredReplicas": replicas,
        "conditions": [{"type": "Odd", "status": "True"}],
    }


@pytest.mark.parametrize("deleted", [False, True], ids=["there", "deleted meanwhile"])
@pytest.mark.parametrize("spec", [SPEC, {**SIZED, "scaling": {"mode": "Combined"}}], ids=["replicas", "and sizes"])
@settings(max_examples=25)
@given(status=values(status_schema()))
@example(remembered(FAR, 10**30))
@example(remembered(LONG_AGO, -(10**30)))
@example({"resources": {"current": {}, "changedAt": FAR, "failedResize": {"time": FAR}}})
async def test_any_status_is_started_from_and_put_right(
    spec: dict[str, Any], deleted: bool, status: dict[str, Any]
) -> None:
    world = World()
    key = await world.running(spec=spec)
    world.cluster.apps[key]["status"] = copy.deepcopy(status)
    if deleted:
        del world.cluster.objects["Deployment", key]
    restarted = World(world.cluster, world.clock.seconds)
    bodies = (*world.cluster.objects.values(), world.cluster.apps[key])
    world.cluster.news = [("ADDED", copy.deepcopy(body)) for body in bodies]
    await restarted.tick(3)
    await restarted.run_pods(key, rps_each=50)
    await restarted.tick(3)
    assert restarted.condition(key, "Ready")[1] in ("InSync", "PodsNotReady")
    assert restarted.status(key)["observedGeneration"] == 1
    assert 1 <= restarted.replicas(key) <= 10
