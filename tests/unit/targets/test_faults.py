"""A kind that the API server cannot serve costs its own targets alone, and is found again."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from scalableapp.adapters import watch
from scalableapp.adapters.kube_api import KubeApi, Request
from scalableapp.engine import targets
from scalableapp.errors import Unavailable
from tests.spec_cases import metric
from tests.unit.targets.scene import Scene
from tests.unit.targets.test_scaling import running

pytestmark = pytest.mark.process
AMOUNT = {"metrics": [metric(target="300m")]}


async def test_a_kind_whose_webhook_is_broken_holds_its_own_targets(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(targets, "AGAIN_SECONDS", 0.1)
    pages = KubeApi.pages

    async def broken(api: KubeApi, request: Request) -> AsyncIterator[dict[str, Any]]:
        if request.path.endswith("/farms"):
            raise Unavailable(f"{request}: 500 conversion webhook for acme.io/v1, Kind=Farm failed")
        async for page in pages(api, request):
            yield page

    web = await running(scene)
    scene.run({**scene.make("Farm", "farm", replicas=1), "kind": "Farm"}, 1, "farm")
    scene.count("Farm", "farm", size=1, pods="app=farm")
    monkeypatch.setattr(KubeApi, "pages", broken)
    farm = scene.app("Farm", "farm", "farm", horizontal=AMOUNT)
    await scene.until(lambda: (it := scene.record(farm).target) and it.problem and "webhook" in it.problem.message)
    scene.use(web, web=0.6, proxy=0.12)
    await scene.tick(2)
    assert scene.condition(farm, "Ready")[1] == "TargetUnreadable"
    assert scene.get("Deployment")["spec"]["replicas"] == 4
    monkeypatch.setattr(KubeApi, "pages", pages)
    await scene.known(farm, 1)
