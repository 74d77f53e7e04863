"""Request sources, from what Prometheus has to the decision and the status."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from scalableapp.adapters.watch import Change, Gone, Listed, Seen, Unserved
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.presets import PRESETS
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.engine.attribution import Claims, attributed
from scalableapp.engine.informers import CHILD_KINDS, Informers
from scalableapp.engine.workqueue import AsyncWorkQueue
from scalableapp.ports import LatencyAnswer, PodAnswer, Snapshot
from tests.unit.engine.world import World, with_scaling

RPS = MetricType.REQUESTS_PER_SECOND
FLASK, TRAEFIK = PRESETS["flask"].source, PRESETS["traefik"].source
SCRAPE = Scrape(30.0, 5.0, 120.0)
METRIC: dict[str, Any] = {"type": "RequestsPerSecond", "target": "50"}
Values = dict[tuple[str, str], float]


def with_requests(name: str = "", **horizontal: Any) -> dict[str, Any]:
    at_once = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    own = {"minReplicas": 1, "behavior": at_once, "metrics": [METRIC], **horizontal}
    return with_scaling(horizontal=own) | ({"monitoring": {"requests": name}} if name else {})


def pods_of(world: World, key: AppKey) -> list[tuple[str, str]]:
    record = world.registry.get(key)
    assert record
    return [(key.namespace, name) for name in record.pods]


def snapshot(world: World, values: Values, **parts: Any) -> Snapshot:
    answer = PodAnswer(values, scrapes=dict.fromkeys(values, SCRAPE))
    return Snapshot(world.clock.now(), {RPS: answer}, **parts)


async def flask_app(world: World, spec: dict[str, Any], rps_each: float = 100.0) -> AppKey:
    key = await world.running(spec=spec)
    world.metrics.pods.clear()
    serve(world, key, "flask_http_request_total")
    world.metrics.sources[FLASK] = snapshot(world, dict.fromkeys(pods_of(world, key), rps_each))
    return key


def serve(world: World, key: AppKey, *metrics: str) -> None:
    """The app's pods serve these metrics from the next look at them on."""
    world.metrics.served = dict.fromkeys(pods_of(world, key), frozenset(metrics))


@pytest.mark.parametrize("name", ["flask", ""], ids=["named", "recognised"])
async def test_an_app_is_scaled_on_its_exporter_s_metrics(world: World, name: str) -> None:
    key = await flask_app(world, with_requests(name))
    await world.tick(3)
    assert world.replicas(key) == 2
    assert world.status(key)["requests"] == {"source": "flask", "per": "Pod", "scrapeSeconds": 30}


async def test_without_any_known_metric_it_is_said_that_none_was_recognised(world: World) -> None:
    await world.tick()
    key = world.create(spec=with_requests())
    await world.settle()
    await world.run_pods(key)
    await world.tick(30)
    assert world.condition(key, "MetricsAvailable") == ("False", "NoData")
    assert "docs/requests.md" in world.message(key, "MetricsAvailable")


async def test_the_default_source_is_not_asked_for_where_no_app_has_it(world: World) -> None:
    await flask_app(world, with_requests("flask"))
    await world.tick()
    request = world.metrics.asked[-1]
    assert (request.kinds, request.latencies, request.looked_for.namespaces) == (frozenset(), False, frozenset())
    assert request.sources[FLASK].kinds == {RPS}


async def test_two_recognised_sources_hold_the_app_and_both_are_named(world: World) -> None:
    key = await flask_app(world, with_requests())
    serve(world, key, "flask_http_request_total", "starlette_requests_total")
    await world.tick(3)
    assert world.replicas(key) == 1
    assert world.condition(key, "MetricsAvailable") == ("False", "AmbiguousRequests")
    assert "flask and starlette" in world.message(key, "MetricsAvailable")
    assert "spec.monitoring.requests" in world.message(key, "MetricsAvailable")
    assert "requests" not in world.status(key)


async def test_what_was_recognised_stays_while_the_pods_serve_nothing_and_over_a_restart(world: World) -> None:
    key = await flask_app(world, with_requests())
    await world.tick(2)
    serve(world, key)
    await world.tick(2)
    assert world.status(key)["requests"]["source"] == "flask"
    restarted = World(world.cluster, world.clock.seconds)
    restarted._app_news("ADDED", key)
    await restarted.settle()
    await restarted.tick()
    assert set(restarted.metrics.asked[-1].sources) == {FLASK}


async def test_a_cluster_s_source_takes_the_place_of_a_preset_until_it_is_gone(world: World) -> None:
    key = await flask_app(world, with_requests("flask"))
    world.registry.sources.seen({"metadata": {"name": "flask"}, "spec": {"requests": "my_requests_total"}})
    await world.tick()
    assert [source.requests for source in world.metrics.asked[-1].sources] == ["my_requests_total"]
    world.registry.sources.gone("flask")
    await world.tick()
    assert set(world.metrics.asked[-1].sources) == {FLASK}
    assert world.replicas(key) == 2


BAD = {"there is no such source": None, "it is wrong: spec.requests": {"requests": "sum(x)"}}


@pytest.mark.parametrize("spec", BAD.values(), ids=BAD.keys())
async def test_a_source_that_cannot_be_used_holds_its_apps(world: World, spec: dict[str, Any] | None) -> None:
    key = await flask_app(world, with_requests("mine"))
    if spec:
        assert "spec.requests" in world.registry.sources.seen({"metadata": {"name": "mine"}, "spec": spec})
    await world.tick(2)
    assert world.condition(key, "MetricsAvailable") == ("False", "UnknownRequestSource")
    assert "mine" in world.message(key, "MetricsAvailable")
    assert world.replicas(key) == 1


async def per_app(world: World, **horizontal: Any) -> AppKey:
    key = await world.running(spec=with_requests("traefik", **horizontal))
    world.metrics.pods.clear()
    return key


def arrive(world: World, rate: float, scrape: Scrape = SCRAPE, value: str = "shop-web-80@kubernetes") -> None:
    answer = PodAnswer({("*", value): rate}, scrapes={("*", value): scrape})
    world.metrics.sources[TRAEFIK] = Snapshot(world.clock.now(), {RPS: answer})


async def test_what_arrives_at_a_proxy_is_compared_with_the_target_for_each_pod(world: World) -> None:
    key = await per_app(world)
    arrive(world, 190)
    await world.tick(2)
    assert world.replicas(key) == 4
    assert world.status(key)["requests"] == {"source": "traefik", "per": "App", "scrapeSeconds": 30}


async def test_a_proxy_s_requests_wake_an_app_that_is_scaled_to_zero(world: World) -> None:
    key = await per_app(world, minReplicas=0, metrics=[METRIC | {"activationTarget": "1"}])
    arrive(world, 0)
    await world.tick(30)
    assert world.replicas(key) == 0
    await world.run_pods(key)
    arrive(world, 3)
    await world.tick(2)
    assert world.replicas(key) == 1


HELD: dict[str, tuple[Scrape, str, str]] = {
    "scrapes that were missed": (Scrape(30.0, 200.0, 120.0), "shop-web-80@kubernetes", "PartialData"),
    "nothing of the app": (SCRAPE, "other-web-80@kubernetes", "NoData"),
}


@pytest.mark.parametrize(("scrape", "value", "reason"), HELD.values(), ids=HELD.keys())
async def test_no_pod_is_taken_away_on_what_a_proxy_does_not_tell(
    world: World, scrape: Scrape, value: str, reason: str
) -> None:
    key = await per_app(world)
    arrive(world, 190)
    await world.tick(2)
    await world.run_pods(key)
    await world.tick()
    arrive(world, 10, scrape, value)
    await world.tick(3)
    assert world.replicas(key) == 4
    assert world.condition(key, "MetricsAvailable") == ("False", reason)


UNFIT: dict[str, tuple[str, dict[str, Any], str]] = {
    "a percentile over pods that are not told apart": (
        "traefik",
        {"metrics": [METRIC | {"aggregate": "Percentile", "percentile": 90}]},
        "remove aggregate",
    ),
    "a latency without a histogram": ("haproxy", {"metrics": [{"type": "Latency", "target": "0.25"}]}, "gauges"),
    "an activation by the pods' own counter": (
        "flask",
        {"minReplicas": 0, "metrics": [METRIC | {"activationTarget": "1"}]},
        "counts per pod",
    ),
}


@pytest.mark.parametrize(("source", "horizontal", "words"), UNFIT.values(), ids=UNFIT.keys())
async def test_what_a_source_cannot_serve_is_refused_with_what_to_do(
    world: World, source: str, horizontal: dict[str, Any], words: str
) -> None:
    key = await world.running(spec=with_requests(source, **horizontal))
    await world.tick(2)
    assert world.condition(key, "MetricsAvailable") == ("False", "UnsuitableRequestSource")
    assert words in world.message(key, "MetricsAvailable")
    assert world.replicas(key) == 1


@pytest.mark.parametrize("source", ["gunicorn", "haproxy"])
async def test_an_objective_without_a_histogram_is_refused_with_what_to_switch_on(world: World, source: str) -> None:
    spec = with_requests(source, metrics=[], objective={"latency": {"seconds": 0.25}})
    key = await world.running(spec=spec)
    await world.tick(2)
    assert PRESETS[source].advice in str(world.status(key))


async def test_a_framework_that_serves_no_buckets_says_what_to_switch_on(world: World) -> None:
    spring = PRESETS["spring"]
    empty = LatencyAnswer({}, DataProblem.EMPTY, "Prometheus has no http_server_requests_seconds_bucket")
    world.metrics.sources[spring.source] = Snapshot(world.clock.now(), latencies=empty)
    await world.tick()
    key = await world.running(spec=with_requests("spring", metrics=[{"type": "Latency", "target": "0.25"}]))
    await world.tick(30)
    assert "percentiles-histogram" in world.message(key, "MetricsAvailable")


def test_a_series_that_two_apps_may_claim_is_nobody_s() -> None:
    place = ("*", "a-b-c-80@kubernetes")
    values = {place: 5.0, ("*", "a-d-80@kubernetes"): 1.0}
    answers = Snapshot(World().clock.now(), {RPS: PodAnswer(values, scrapes=dict.fromkeys(values, SCRAPE))})
    apps = [AppKey("a", "b-c"), AppKey("a-b", "c"), AppKey("a", "d")]
    found = attributed(answers, Claims(TRAEFIK, {key: key for key in apps})).kinds[RPS]
    assert found.refused.keys() == {("a", "b-c"), ("a-b", "c")}
    assert "a/b-c and a-b/c" in found.refused["a", "b-c"][1]
    assert found.values["a", "d"] == 1.0


def test_several_series_of_an_app_are_added_up_and_dated_by_the_worst() -> None:
    values = {("*", "shop-web-80@kubernetes"): 5.0, ("*", "shop-web-http@kubernetes"): 2.0}
    scrapes = dict(zip(values, (Scrape(15.0, 3.0, 60.0), Scrape(30.0, 9.0, 120.0)), strict=True))
    answers = Snapshot(World().clock.now(), {RPS: PodAnswer(values, scrapes=scrapes)})
    found = attributed(answers, Claims(TRAEFIK, {AppKey("shop", "web"): AppKey("shop", "web")})).kinds[RPS]
    assert found.values == {("shop", "web"): 7.0}
    assert found.scrapes["shop", "web"] == Scrape(30.0, 9.0, 120.0)


async def test_the_cluster_s_sources_are_followed_and_a_wrong_one_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    good = {"metadata": {"name": "mine"}, "spec": {"requests": "my_requests_total"}}
    wrong = {"metadata": {"name": "broken"}, "spec": {"requests": "sum(x)"}}
    absent = Unserved("GET /apis/scalableapp.io/v1alpha1/requestsources: 404", denied=False)

    class ScriptedWatch:
        async def changes(self) -> AsyncIterator[Change]:
            for change in (absent, Seen(good), Seen(wrong), Listed(), Gone("", "flask")):
                yield change

    listed: list[str] = []
    queue = AsyncWorkQueue(world.queue, world.clock)
    informers = Informers(world.registry, queue, None, CHILD_KINDS, ("",))  # type: ignore[arg-type] # asks nothing
    await informers.follow_sources(ScriptedWatch(), lambda: listed.append("all"))  # type: ignore[arg-type] # tells as Watch does
    assert listed == ["all", "all"]
    assert "RequestSource broken cannot be used: spec.requests" in caplog.text
    key = await flask_app(world, with_requests("mine"))
    await world.tick()
    assert [source.requests for source in world.metrics.asked[-1].sources] == ["my_requests_total"]
    assert world.registry.get(key)
