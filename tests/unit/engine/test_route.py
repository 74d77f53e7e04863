"""An app that is reached through a Gateway: its HTTPRoute is made, watched over, told of, and gives way."""

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scalableapp.adapters.watch import Change, Gone, Listed, Seen, Unserved
from scalableapp.core.model import AppKey
from scalableapp.engine.informers import CHILD_KINDS, Informers
from scalableapp.engine.workqueue import AsyncWorkQueue
from tests.gateway_api import parent
from tests.unit.engine.world import World, app_labels, foreign, with_spec

ROUTE: dict[str, Any] = {"parentRefs": [{"name": "public"}], "hostnames": ["a.io"]}
REACHED = with_spec(route=ROUTE, ingress=None)
NOT_FOUND = Unserved("GET /apis/gateway.networking.k8s.io/v1/httproutes: 404", denied=False)


@pytest.fixture
def served(world: World) -> World:
    world.registry.no_gateway_api = ""
    return world


async def answer(world: World, key: AppKey, *parents: dict[str, Any]) -> None:
    """The Gateway's controller writes the route's status."""
    route = copy.deepcopy(world.cluster.objects["HTTPRoute", key])
    route["status"] = {"parents": list(parents)}
    world.cluster.put(route)
    await world.settle()


async def follow(world: World, *changes: Change) -> list[str]:
    """The watch tells of these. Returns how often it was said that all is known."""

    class ScriptedWatch:
        async def changes(self) -> AsyncIterator[Change]:
            for change in changes:
                yield change

    listed: list[str] = []
    queue = AsyncWorkQueue(world.queue, world.clock)
    informers = Informers(world.registry, queue, None, CHILD_KINDS, ("",))  # type: ignore[arg-type] # asks nothing
    await informers.follow_routes(ScriptedWatch(), lambda: listed.append("looked"))  # type: ignore[arg-type] # tells as Watch does
    await world.settle()
    return listed


async def test_a_route_that_its_gateway_accepts_is_where_the_app_answers(served: World) -> None:
    key = await served.running(spec=REACHED)
    assert ("Ingress", key) not in served.cluster.objects
    assert served.condition(key, "Exposed") == ("False", "RoutePending")
    assert "url" not in served.status(key)
    await answer(served, key, parent(Accepted="True", ResolvedRefs="True"))
    assert served.condition(key, "Exposed") == ("True", "Accepted")
    assert served.condition(key, "Ready") == ("True", "InSync")
    assert served.status(key)["url"] == "http://a.io/"


async def test_a_route_that_is_not_accepted_is_reported_and_the_app_scales_on(served: World) -> None:
    key = await served.running(spec=REACHED)
    await answer(served, key, parent(Accepted="NotAllowedByListeners"))
    assert served.condition(key, "Ready") == ("False", "RouteNotAccepted")
    assert served.condition(key, "Available") == ("True", "PodsReady")
    assert "NotAllowedByListeners" in served.message(key, "Exposed")
    assert [event.reason for event in served.cluster.events] == ["RouteNotAccepted"]
    served.load(key, 500)
    await served.tick()
    assert served.replicas(key) > 2


async def test_without_a_route_there_is_no_word_of_gateways(served: World) -> None:
    key = await served.running()
    assert "Exposed" not in {entry["type"] for entry in served.status(key)["conditions"]}
    assert served.condition(key, "Ready") == ("True", "InSync")


@pytest.mark.parametrize("change", ["deleted", "edited"])
async def test_a_route_that_somebody_changes_is_put_right(served: World, change: str) -> None:
    key = await served.running(spec=REACHED)
    before = copy.deepcopy(served.cluster.objects["HTTPRoute", key]["spec"])
    if change == "deleted":
        served.cluster.remove("HTTPRoute", key)
    else:
        route = copy.deepcopy(served.cluster.objects["HTTPRoute", key])
        route["spec"]["hostnames"] = ["b.io"]
        served.cluster.put(route)
    await served.settle()
    assert served.cluster.writes == [("apply", "HTTPRoute")]
    assert served.cluster.objects["HTTPRoute", key]["spec"] == before


async def test_a_route_of_somebody_else_is_left_alone(served: World) -> None:
    theirs = foreign("HTTPRoute", labels=app_labels())
    served.cluster.put(theirs)
    key = served.create(spec=REACHED)
    await served.settle()
    assert served.cluster.objects["HTTPRoute", key] == theirs
    assert served.condition(key, "Conflicted") == ("True", "Conflicted")


async def test_the_former_ingress_leads_to_the_app_until_a_gateway_does(served: World) -> None:
    key = await served.running()
    served.change(key, REACHED)
    await served.settle()
    assert {("Ingress", key), ("HTTPRoute", key)} <= served.cluster.objects.keys()
    await answer(served, key, parent(Accepted="True"))
    assert ("Ingress", key) not in served.cluster.objects
    assert served.status(key)["url"] == "http://a.io/"


async def test_back_to_an_ingress_the_route_is_removed(served: World) -> None:
    key = await served.running(spec=REACHED)
    await answer(served, key, parent(Accepted="True"))
    served.change(key, with_spec(ingress={"host": "b.io"}))
    await served.settle()
    assert ("HTTPRoute", key) not in served.cluster.objects
    assert served.status(key)["url"] == "http://b.io/"
    assert "Exposed" not in {entry["type"] for entry in served.status(key)["conditions"]}


async def test_where_the_gateway_api_is_not_served_the_app_runs_and_that_is_reported(world: World) -> None:
    assert await follow(world, NOT_FOUND) == ["looked"]
    key = await world.running(spec=REACHED)
    assert world.replicas(key) == 2
    assert ("HTTPRoute", key) not in world.cluster.objects
    assert world.condition(key, "Ready") == ("False", "GatewayAPIMissing")
    assert "does not support gateway.networking.k8s.io/v1; install" in world.message(key, "Exposed")


async def test_a_gateway_api_that_comes_later_is_used(world: World) -> None:
    await follow(world, NOT_FOUND)
    key = await world.running(spec=REACHED)
    await follow(world, NOT_FOUND, Listed())
    assert ("HTTPRoute", key) in world.cluster.objects
    assert world.condition(key, "Ready") == ("False", "RoutePending")


async def test_a_gateway_api_that_goes_takes_the_routes_with_it(served: World) -> None:
    key = await served.running(spec=REACHED)
    await answer(served, key, parent(Accepted="True"))
    served.cluster.objects.pop(("HTTPRoute", key))
    await follow(served, NOT_FOUND)
    assert served.condition(key, "Exposed") == ("False", "GatewayAPIMissing")
    assert "url" not in served.status(key)
    await follow(served, Listed())
    assert ("HTTPRoute", key) in served.cluster.objects


async def test_a_right_that_the_operator_lacks_is_reported_with_the_servers_message(world: World) -> None:
    denied = Unserved('User "operator" cannot list resource "httproutes"; give the role this right', denied=True)
    await follow(world, denied)
    key = await world.running(spec=REACHED)
    assert "cannot list" in world.message(key, "Exposed")


async def test_routes_are_taken_over_from_their_watch(served: World) -> None:
    key = await served.running(spec=REACHED)
    route = copy.deepcopy(served.cluster.objects["HTTPRoute", key])
    route["status"] = {"parents": [parent(Accepted="True")]}
    await follow(served, Seen(route), Listed())
    assert served.condition(key, "Exposed") == ("True", "Accepted")
    served.cluster.objects.pop(("HTTPRoute", key))
    await follow(served, Gone(*key))
    assert ("HTTPRoute", key) in served.cluster.objects
