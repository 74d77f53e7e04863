"""A small cluster and a small Prometheus in memory, and the operator's parts put together around them.

The cluster behaves as the API server does where the operator can tell: generations, defaults, owners, a status of
its own, 404 for what is not there. Every write is kept in `writes`. Events of the watches come when a test calls
`deliver`, and may be lost.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.target_fields import TargetRef
from scalableapp.core.children.resources import LABEL_APP, LABEL_MANAGED_BY, MANAGED_BY, ClusterFeatures
from scalableapp.core.model import AppKey, PodState
from scalableapp.core.size import Resource, Size
from scalableapp.core.vertical.limits import NamespaceLimits
from scalableapp.engine.loop import Loop
from scalableapp.engine.reconcile import Reconciler
from scalableapp.engine.record import Dated
from scalableapp.engine.registry import Registry
from scalableapp.engine.usage import replay_usage
from scalableapp.engine.workqueue import AsyncWorkQueue, WorkQueue
from scalableapp.errors import ClusterError, Conflict, NotFound
from scalableapp.ports import (
    Event,
    Manifest,
    PodAnswer,
)
from tests.unit.engine.fake_mounts import FakeMounts
from tests.unit.engine.fakes import Clock, FakeMetrics, FakeTelemetry
from tests.unit.engine.ownership import REPLICAS, applied_replicas

NAMESPACE = "shop"
SPEC: dict[str, Any] = {
    "image": "web:1",
    "ingress": {"host": "web.shop.test"},
    "scaling": {"horizontal": {"minReplicas": 2, "metrics": [{"type": "RequestsPerSecond", "target": "50"}]}},
}


@dataclass
class FakeCluster(FakeMounts):
    """Implements ports.Cluster. `failures` maps a verb to what it raises until it is removed."""

    objects: dict[tuple[str, AppKey], Manifest] = field(default_factory=dict)
    apps: dict[AppKey, Manifest] = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    on_resize: Callable[[str, Size], None] = lambda _pod, _size: None
    kept: Callable[[Manifest], Manifest] = lambda status: status
    later: Size | None = None
    resized: list[tuple[str, Size]] = field(default_factory=list)
    news: list[tuple[str, Manifest]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    async def read(self, manifest: Manifest) -> Manifest | None:
        self.reads += 1
        return copy.deepcopy(self.objects.get(_id(manifest)))

    async def apply(self, manifest: Manifest) -> Manifest:
        self._write("apply", manifest["kind"])
        old = self.objects.get(_id(manifest), {})
        new = copy.deepcopy(manifest)
        if manifest["kind"] == "Deployment":
            self._fail(f"replicas {new['spec'].get('replicas')}")
            spec = {name: value for name, value in new["spec"].items() if value not in (False, 0)}
            new["spec"] = {**spec, "replicas": applied_replicas(old, new)}
        unchanged = old and old["spec"] == new["spec"]
        new["metadata"]["generation"] = old.get("metadata", {}).get("generation", 0) + (0 if unchanged else 1)
        new["status"] = {**old.get("status", {}), "observedGeneration": new["metadata"]["generation"]}
        self.put(new)
        return copy.deepcopy(new)

    async def check(self, manifest: Manifest) -> None:
        self._write("check", manifest["kind"])

    async def delete(self, manifest: Manifest) -> None:
        self._write("delete", manifest["kind"])
        self.remove(*_id(manifest))

    async def resize(self, key: AppKey, pod: str, size: Size) -> None:
        self._write("resize", pod)
        self.resized.append((pod, size))
        self.on_resize(pod, size)

    async def resize_later_pods(self, deployment: Manifest, size: Size) -> None:
        self._write("resize", "ReplicaSet")
        self.later = size

    async def scale(self, key: AppKey, replicas: int) -> None:
        self._write("scale", str(replicas))
        deployment = self.objects.get(("Deployment", key))
        if deployment is None:
            raise NotFound(f"Deployment {key} is gone")
        if deployment["spec"]["replicas"] != replicas:
            deployment["metadata"]["generation"] += 1
            deployment["metadata"].pop("managedFields", None)
        deployment["spec"]["replicas"] = replicas
        self.put(deployment)

    async def scale_target(self, namespace: str, target: TargetRef, replicas: int) -> None:
        await self.scale(AppKey(namespace, target.name), replicas)

    async def keep_replicas(self, key: AppKey, replicas: int) -> None:
        self._write("keep", str(replicas))
        deployment = self.objects["Deployment", key]
        if deployment["spec"]["replicas"] != replicas:
            raise Conflict(f"Deployment {key} has {deployment['spec']['replicas']} replicas")
        deployment["metadata"]["managedFields"].append(REPLICAS | {"manager": f"{MANAGED_BY}-scale"})

    async def patch_status(self, key: AppKey, status: Mapping[str, Any]) -> Manifest:
        self._write("status", ",".join(sorted(status)))
        if key not in self.apps:
            raise NotFound(f"ScalableApp {key} is gone")
        self.apps[key]["status"] = self.kept(merged(self.apps[key].get("status", {}), status))
        self.news.append(("MODIFIED", copy.deepcopy(self.apps[key])))
        return copy.deepcopy(self.apps[key]["status"])

    async def emit(self, event: Event) -> None:
        self.events.append(event)

    def put(self, manifest: Manifest) -> None:
        """Somebody creates or changes an object."""
        self.objects[_id(manifest)] = manifest
        if manifest["kind"] == "Deployment":
            self.numbers.append(manifest["spec"]["replicas"])
        self.news.append(("MODIFIED", copy.deepcopy(manifest)))

    def remove(self, kind: str, key: AppKey) -> None:
        """Somebody deletes an object."""
        self.news.append(("DELETED", self.objects.pop((kind, key))))

    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.writes]

    def _write(self, verb: str, what: str) -> None:
        self.writes.append((verb, what))
        self._fail(verb)
        self._fail(f"{verb} {what}")

    def _fail(self, what: str) -> None:
        if failure := self.failures.get(what):
            raise failure


class World:
    """Registry, queue, reconciler and loop around one cluster; time moves only when a test says so."""

    def __init__(
        self, cluster: FakeCluster | None = None, seconds: float = 0.0, features: ClusterFeatures | None = None
    ) -> None:
        self.features = features or FEATURES
        self.past_usage: dict[Resource, list[tuple[float, float]]] = {}
        self.clock = Clock(seconds)
        self.cluster = cluster or FakeCluster()
        self.metrics = FakeMetrics(self.clock)
        self.telemetry = FakeTelemetry()
        self.registry = Registry()
        self.registry.namespace_limits = {NAMESPACE: NamespaceLimits()}
        self.queue = WorkQueue(jitter=lambda: 1.0)
        self.loop = Loop(
            registry=self.registry,
            queue=AsyncWorkQueue(self.queue, self.clock),
            metrics=self.metrics,
            reconciler=Reconciler(self.registry, self.cluster, self.features, self.clock.now, stale_after_seconds=20),
            telemetry=self.telemetry,  # type: ignore[arg-type] # answers to every name
            interval_seconds=5.0,
            clock=self.clock,
            now=self.clock.now,
        )

    def create(
        self, name: str = "web", spec: Mapping[str, Any] = SPEC, uid: str = "", namespace: str = NAMESPACE
    ) -> AppKey:
        """Somebody creates a ScalableApp."""
        key = AppKey(namespace, name)
        metadata = {"namespace": namespace, "name": name, "uid": uid or f"uid-{name}", "generation": 1}
        self.cluster.apps[key] = {"kind": "ScalableApp", "metadata": metadata, "spec": copy.deepcopy(dict(spec))}
        self._app_news("ADDED", key)
        return key

    def change(self, key: AppKey, spec: Mapping[str, Any]) -> None:
        """Somebody changes the spec."""
        app = self.cluster.apps[key]
        app["metadata"]["generation"] += 1
        app["spec"] = copy.deepcopy(dict(spec))
        self._app_news("MODIFIED", key)

    def change_status(self, key: AppKey, status: Mapping[str, Any], manager: str = "kubectl-patch") -> None:
        """Somebody merge-patches the status, which is ours."""
        app = self.cluster.apps[key]
        app["status"] = merged(app.get("status", {}), status)
        app["metadata"]["managedFields"] = [
            {"manager": manager, "subresource": "status", "time": "2026-01-05T12:00:00Z"}
        ]
        self._app_news("MODIFIED", key)

    def delete(self, key: AppKey) -> None:
        """Somebody deletes the ScalableApp; its children follow."""
        self._app_news("DELETED", key)
        del self.cluster.apps[key]
        for found, body in list(self.cluster.objects.items()):
            if body["metadata"]["labels"].get(LABEL_APP) == key.name:
                self.cluster.remove(*found)

    def _app_news(self, kind: str, key: AppKey) -> None:
        self.cluster.news.append((kind, copy.deepcopy(self.cluster.apps[key])))

    def deliver(self) -> None:
        """The watches bring all news, as the handlers do."""
        news, self.cluster.news = self.cluster.news, []
        for kind, body in news:
            self._deliver(kind, body)

    def _deliver(self, kind: str, body: Manifest) -> None:
        key = AppKey(body["metadata"]["namespace"], body["metadata"]["name"])
        if body["kind"] == "ScalableApp":
            if kind == "DELETED":
                self.registry.app_gone(key)
                self.queue.forget(key)
                return
            due = self.registry.app_seen(body)
        elif body["metadata"].get("labels", {}).get(LABEL_MANAGED_BY) != MANAGED_BY:
            return
        else:
            due = self.registry.child_gone(body) if kind == "DELETED" else self.registry.child_seen(body)
        if due:
            self.queue.add(due, self.clock())

    async def settle(self) -> None:
        """News and turns until nothing is left to do now."""
        for _ in range(50):
            self.deliver()
            key = self.queue.take(self.clock())
            if key is None and not self.cluster.news:
                return
            if key and (record := self.registry.get(key)):
                await self.loop.work(record)
            elif key:
                self.queue.done(key, self.clock())
        raise AssertionError(f"it never settles; the last writes: {self.cluster.writes[-10:]}")

    async def tick(self, times: int = 1) -> None:
        """Ticks, five seconds apart, each with what follows from it."""
        for _ in range(times):
            self.clock.seconds += 5
            await self.loop.tick()
            for record in self.registry.apps():
                if record.sizing.history and not record.sizing.history.ready:
                    replay_usage(record, self.past_usage)
            await self.settle()

    async def run_pods(self, key: AppKey, rps_each: float | None = None, ready_for: float = 600) -> None:
        """The Deployment's controller catches up: as many ready pods as asked for, each with this load."""
        deployment = self.cluster.objects["Deployment", key]
        count = deployment["spec"]["replicas"]
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count)
        deployment["status"] = counts
        self.cluster.put(deployment)
        record = self.registry.get(key)
        assert record
        since = self.clock.now() - timedelta(seconds=ready_for)
        record.pods = {}
        for number in range(count):
            pod = PodState(f"{key.name}-{number}", "Running", True, False, since, since)
            self.registry.pod_seen(key, pod)
            record.dated[pod.name] = Dated(pod, pod)  # as if it had been seen for that long
        if rps_each is not None:
            self.load(key, rps_each)
        await self.settle()

    def load(self, key: AppKey, rps_each: float) -> None:
        """Every pod of the app gets that many requests a second from now on."""
        record = self.registry.get(key)
        assert record
        old = self.metrics.pods.get(MetricType.REQUESTS_PER_SECOND, PodAnswer()).values
        values = {(key.namespace, name): rps_each for name in record.pods}
        others = {pod: value for pod, value in old.items() if not pod[1].startswith(f"{key.name}-")}
        self.metrics.pods[MetricType.REQUESTS_PER_SECOND] = PodAnswer(others | values)

    async def running(
        self, name: str = "web", spec: Mapping[str, Any] = SPEC, rps_each: float = 50.0, namespace: str = NAMESPACE
    ) -> AppKey:
        """An app that is deployed, has its pods and a load on target; with no write to be made."""
        key = self.create(name, spec, namespace=namespace)
        await self.settle()
        await self.run_pods(key, rps_each)
        await self.tick(2)
        self.cluster.writes.clear()
        self.cluster.events.clear()
        return key

    def status(self, key: AppKey) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.apps[key].get("status", {})
        return found

    def condition(self, key: AppKey, type_: str) -> tuple[str, str]:
        """Status and reason of a condition, as written."""
        found = {entry["type"]: entry for entry in self.status(key).get("conditions", ())}
        return (found[type_]["status"], found[type_]["reason"])

    def message(self, key: AppKey, type_: str) -> str:
        found = {entry["type"]: entry for entry in self.status(key).get("conditions", ())}
        return str(found[type_]["message"])

    def replicas(self, key: AppKey) -> int:
        return int(self.cluster.objects["Deployment", key]["spec"]["replicas"])


FEATURES = ClusterFeatures()
BROKEN = ClusterError("the API server is on fire")


def foreign(kind: str, name: str = "web", labels: Mapping[str, str] | None = None) -> Manifest:
    """An object of that name that somebody else made."""
    metadata = {"namespace": NAMESPACE, "name": name, "labels": dict(labels or {}), "generation": 1}
    spec = {"replicas": 1} if kind == "Deployment" else {}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec, "status": {}}


def app_labels(name: str = "web") -> dict[str, str]:
    return {LABEL_APP: name, LABEL_MANAGED_BY: MANAGED_BY}


def merged(target: Any, patch: Any) -> Any:
    """What a merge patch (RFC 7386) makes of the target."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _id(manifest: Manifest) -> tuple[str, AppKey]:
    metadata = manifest["metadata"]
    return manifest["kind"], AppKey(metadata["namespace"], metadata["name"])


def with_spec(**changes: object) -> dict[str, object]:
    """The usual spec with other fields."""
    return {**copy.deepcopy(SPEC), **changes}


def with_scaling(**changes: object) -> dict[str, object]:
    """The usual spec with other fields of `scaling`."""
    return with_spec(scaling={**copy.deepcopy(SPEC["scaling"]), **changes})
