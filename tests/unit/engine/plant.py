"""A cluster with a load, second by second, under the real loop: pods start, serve, leave and are measured.

Nothing here shares a formula with the core. Pods share the load evenly, Prometheus shows of each pod the mean of its
last 30 s, the Deployment's controller creates and deletes pods, and events reach the operator by watches that may fall
silent. The API server's clock is right; that of the operator may be put.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from scalableapp.adapters.podwatch import PodEvent, pod_state
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.children.resources import CONTAINER
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.core.vertical.sized import template_size
from scalableapp.engine.informers import Informers
from scalableapp.engine.reconcile import Reconciler
from scalableapp.engine.usage import replay_usage
from scalableapp.ports import MetricsRequest, PodAnswer, Snapshot, UsageMetric
from tests.unit.engine.fakes import START
from tests.unit.engine.world import NAMESPACE, FakeCluster, World

TARGET = 20.0
LOOK_SECONDS = 5
WINDOW_SECONDS = 30
# A rate needs two scrapes.
FIRST_SAMPLE_SECONDS = 10
LEAVING_SECONDS = 5
CPU_PER_REQUEST = 0.01
KEY = AppKey(NAMESPACE, "web")
SCRAPED, GONE = Scrape(5.0, 2.0, WINDOW_SECONDS), Scrape(None, None, WINDOW_SECONDS, gone=True)
UNREACHABLE = PodAnswer({}, DataProblem.UNREACHABLE, "Prometheus does not answer")


@dataclass
class Pod:
    name: str
    created: int
    starts_in: int
    sampled: bool
    resources: dict[str, Any]
    ready_at: int | None = None
    changed_at: int | None = None
    left_at: int | None = None

    def serves(self) -> bool:
        return self.ready_at is not None and self.left_at is None

    def body(self) -> dict[str, Any]:
        metadata = {
            "namespace": NAMESPACE,
            "name": self.name,
            "labels": {"scalableapp.io/app": "web"},
            "creationTimestamp": _text(self.created),
        }
        if self.left_at is not None:
            metadata |= {"deletionTimestamp": _text(self.left_at), "deletionGracePeriodSeconds": 0}  # type: ignore[dict-item] # JSON
        ready = {"type": "Ready", "status": str(self.serves())}
        if self.changed_at is not None:
            ready["lastTransitionTime"] = _text(self.changed_at)
        status = {
            "phase": "Pending" if self.changed_at is None else "Running",
            "startTime": _text(self.created),
            "conditions": [ready],
        }
        containers = [{"name": CONTAINER, "resources": self.resources}]
        return {"metadata": metadata, "spec": {"containers": containers}, "status": status}


def _text(second: int) -> str:
    return (START + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Reported:
    """A watch that brings what it is given, and ends."""

    def __init__(self, news: list[PodEvent]) -> None:
        self._news = news

    async def events(self) -> AsyncIterator[PodEvent]:
        for event in self._news:
            yield event


@dataclass
class Write:
    """The operator set replicas. `fresh`: the snapshot that it went by began after they were last changed."""

    second: int
    before: int
    after: int
    look: int
    fresh: bool


class Cluster(FakeCluster):
    """Notes what the operator makes of the replicas."""

    on_scale: Callable[[int, int], None]

    async def scale(self, key: AppKey, replicas: int) -> None:
        before = self.objects["Deployment", key]["spec"]["replicas"]
        await super().scale(key, replicas)
        self.on_scale(before, replicas)


@dataclass
class Plant:
    """`load` is requests per second; it never falls. `spec` is the ScalableApp's."""

    spec: Mapping[str, Any]
    load: float = 90.0
    second: int = 0
    put: timedelta = timedelta(0)
    start_seconds: int = 5
    sampled: bool = True
    slow: int = 0
    silent: dict[str, int] = field(default_factory=dict)
    unreachable_until: int = 0
    refused_until: int = 0
    begun: int = 0
    answered: int = 0
    changed_in: int = 0
    pods: dict[str, Pod] = field(default_factory=dict)
    news: list[PodEvent] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    loads: deque[float] = field(default_factory=lambda: deque(maxlen=60))
    shares: deque[dict[str, float]] = field(default_factory=lambda: deque(maxlen=WINDOW_SECONDS))
    _made: int = 0

    async def begin(self, replicas: int) -> None:
        """The app runs with so many pods that have been ready for a while."""
        self.cluster = Cluster()
        self.cluster.on_scale = self._scaled
        self.operator = self._operator()
        self.operator.create(spec=self.spec)
        await self.operator.settle()
        self.deployment["spec"]["replicas"] = replicas
        await self.run(2 * WINDOW_SECONDS)
        self.writes.clear()

    @property
    def deployment(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.objects["Deployment", KEY]
        return found

    @property
    def replicas(self) -> int:
        return int(self.deployment["spec"]["replicas"])

    @property
    def requested(self) -> float:
        """Cores that the Deployment's template requests for a pod."""
        size = template_size(self.deployment)
        assert size
        return size.cpu.request or 0.0

    def wall(self) -> datetime:
        """The operator's wall clock."""
        return START + timedelta(seconds=self.second) + self.put

    async def run(self, seconds: int) -> None:
        """Time passes, with a look every few seconds."""
        for _ in range(seconds):
            await self.pass_second()
            if self.second % LOOK_SECONDS == 0:
                await self.look()

    async def look(self) -> None:
        await self.operator.loop.tick()
        for record in self.operator.registry.apps():
            if record.sizing.history and not record.sizing.history.ready:
                replay_usage(record, {})
        await self.turns()

    async def pass_second(self) -> None:
        self.second += 1
        self.operator.clock.seconds = self.second
        self._control()
        self._serve()
        await self.turns()

    async def turns(self) -> None:
        """What the watches bring, and the turns that follow."""
        if self.silent.get("pods", 0) <= self.second:
            news, self.news = self.news, []
            await self.informers.follow_pods(_Reported(news), lambda: None)  # type: ignore[arg-type] # a watch to it
        held = []
        if self.silent.get("deployments", 0) > self.second:
            held = [entry for entry in self.cluster.news if entry[1]["kind"] == "Deployment"]
            self.cluster.news = [entry for entry in self.cluster.news if entry[1]["kind"] != "Deployment"]
        await self.operator.settle()
        self.cluster.news = held + self.cluster.news

    async def restart(self, away: int) -> None:
        """The operator is gone for so long, and its successor lists everything anew."""
        for _ in range(away):
            self.second += 1
            self._control()
            self._serve()
        self.operator = self._operator()
        self.cluster.news = [("ADDED", self.cluster.apps[KEY])]
        self.cluster.news += [("ADDED", body) for body in self.cluster.objects.values()]
        self.news = [self._event(pod) for pod in self.pods.values()]
        self.silent.clear()
        await self.turns()
        await self.look()

    def _operator(self) -> World:
        world = World(self.cluster, float(self.second))
        world.loop.metrics = self
        world.loop.now = self.wall
        world.loop.reconciler = Reconciler(
            world.registry, self.cluster, world.features, self.wall, stale_after_seconds=25, clock=world.clock
        )
        self.informers = Informers(world.registry, world.loop.queue, None, {}, ("",))  # type: ignore[arg-type] # unused
        return world

    def _scaled(self, before: int, after: int) -> None:
        if before != after:
            self.writes.append(Write(self.second, before, after, self.answered, self.answered > self.changed_in))
            self.changed_in = self.begun

    # The Deployment's controller and the kubelets

    def _control(self) -> None:
        staying = [pod for pod in self.pods.values() if pod.left_at is None]
        for _ in range(self.replicas - len(staying)):
            self._create()
        surplus = sorted(staying, key=lambda pod: (pod.serves(), -pod.created))
        for pod in surplus[: max(0, len(staying) - self.replicas)]:
            self.leave(pod)
        for pod in list(self.pods.values()):
            if pod.left_at is not None and self.second >= pod.left_at + LEAVING_SECONDS:
                del self.pods[pod.name]
                self.news.append(PodEvent(KEY, pod.name, None))
            elif pod.changed_at is None and self.second >= pod.created + pod.starts_in:
                pod.ready_at = pod.changed_at = self.second
                self.news.append(self._event(pod))
        self._count()

    async def kubectl_scale(self, replicas: int) -> None:
        """Somebody sets the Deployment's replicas."""
        self.deployment["spec"]["replicas"] = replicas
        self.deployment["metadata"]["generation"] += 1
        self.changed_in = self.begun
        self.cluster.put(self.deployment)
        await self.turns()

    def _create(self) -> None:
        self._made += 1
        containers = self.deployment["spec"]["template"]["spec"]["containers"]
        resources = next(entry.get("resources") or {} for entry in containers if entry["name"] == CONTAINER)
        pod = Pod(f"web-{self._made}", self.second, self.start_seconds, self.sampled, resources)
        self.pods[pod.name] = pod
        self.news.append(self._event(pod))

    def leave(self, pod: Pod) -> None:
        """The pod is deleted, by whomever."""
        if pod.left_at is None:
            pod.left_at = self.second
            self.news.append(self._event(pod))

    def _event(self, pod: Pod) -> PodEvent:
        return PodEvent(KEY, pod.name, pod_state(pod.body()))

    def _count(self) -> None:
        staying = [pod for pod in self.pods.values() if pod.left_at is None]
        counts = {
            "observedGeneration": self.deployment["metadata"]["generation"],
            "replicas": len(staying),
            "updatedReplicas": len(staying),
            "readyReplicas": sum(pod.serves() for pod in staying),
        }
        if self.deployment.get("status") != counts:
            self.deployment["status"] = counts
            self.cluster.put(self.deployment)

    # The load, and Prometheus

    def _serve(self) -> None:
        serving = [pod.name for pod in self.pods.values() if pod.serves()]
        self.shares.append({name: self.load / len(serving) for name in serving})
        self.loads.append(self.load)

    async def collect(self, request: MetricsRequest) -> Snapshot:
        """Implements ports.Metrics; what happens while a slow one is under way happens."""
        self.begun += 1
        rates, there = self._rates(), set(self.pods)
        reached = self.second >= self.unreachable_until
        slow, self.slow = self.slow, 0
        for _ in range(slow):
            await self.pass_second()
        self.answered = self.begun
        scrapes = {(NAMESPACE, name): SCRAPED if name in there else GONE for name in rates}
        rps = PodAnswer({(NAMESPACE, name): rate for name, rate in rates.items()}, scrapes=scrapes)
        cpu = PodAnswer({pod: CPU_PER_REQUEST * rate for pod, rate in rps.values.items()}, scrapes=scrapes)
        memory = PodAnswer(dict.fromkeys(rps.values, 100e6), scrapes=scrapes)
        answers = {MetricType.REQUESTS_PER_SECOND: rps, MetricType.CPU: cpu}
        usage = dict.fromkeys(UsageMetric, PodAnswer()) | {UsageMetric.MEMORY_PEAK: memory}
        return Snapshot(
            self.wall(),
            {kind: answers[kind] if reached else UNREACHABLE for kind in request.kinds},
            usage={kind: answer if reached else UNREACHABLE for kind, answer in usage.items()} if request.usage else {},
        )

    def _rates(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for second in self.shares:
            for name, share in second.items():
                found[name] = found.get(name, 0.0) + share / WINDOW_SECONDS
        unseen = {pod.name for pod in self.pods.values() if not self._scraped(pod)}
        return {name: rate for name, rate in found.items() if name not in unseen}

    def _scraped(self, pod: Pod) -> bool:
        return pod.sampled and pod.ready_at is not None and self.second >= pod.ready_at + FIRST_SAMPLE_SECONDS
