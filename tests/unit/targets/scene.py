"""Workloads of others on a real API server, and the operator's parts that scale them."""

import asyncio
import gc
import itertools
import time
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from kubernetes.aio.client.configuration import Configuration

from scalableapp.adapters.kube_api import KubeApi
from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.children.resources import ClusterFeatures
from scalableapp.core.model import AppKey
from scalableapp.engine.loop import Loop
from scalableapp.engine.reconcile import Reconciler
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.engine.targets import Targets
from scalableapp.engine.workqueue import AsyncWorkQueue, WorkQueue
from scalableapp.ports import ContainerAnswer
from tests.control_plane import TOKEN, ControlPlane, eventually
from tests.spec_cases import Spec, metric
from tests.unit.engine.fakes import Clock, FakeMetrics, FakeTelemetry

PATIENCE_SECONDS = 60.0
FARMS = "/apis/acme.io/v1/namespaces/{}/farms"
_PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "ReplicaSet": "replicasets", "Farm": "farms"}
_MERGE = "application/merge-patch+json"
_numbers = itertools.count(1)


def install_farms(plane: ControlPlane) -> None:
    """A kind with a scale subresource that nobody has heard of."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    scale = {
        "specReplicasPath": ".spec.size",
        "statusReplicasPath": ".status.size",
        "labelSelectorPath": ".status.pods",
    }
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    plain = version | {"name": "v1alpha1", "storage": False}
    names = {"kind": "Farm", "plural": "farms", "singular": "farm"}
    versions = [version | {"subresources": {"status": {}, "scale": scale}}, plain | {"subresources": {"status": {}}}]
    spec = {"group": "acme.io", "scope": "Namespaced", "names": names, "versions": versions}
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec}
    plane.ask(
        "POST",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        crd | {"metadata": {"name": "farms.acme.io"}},
    )
    eventually(lambda: plane.ask("GET", "/apis/acme.io/v1/farms") is not None)


@dataclass
class Scene:
    """One namespace; `metrics` is what Prometheus would answer."""

    plane: ControlPlane
    namespace: str
    registry: Registry
    targets: Targets
    loop: Loop
    metrics: FakeMetrics
    clock: Clock
    client: KubeClient
    _group: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)

    @classmethod
    @asynccontextmanager
    async def in_a_namespace(cls, plane: ControlPlane) -> AsyncIterator[Self]:
        """Nothing is there yet."""
        namespace = f"shop-{next(_numbers)}"
        plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        configuration = Configuration()
        configuration.host, configuration.ssl_ca_cert = plane.url, plane.certificate
        configuration.api_key["BearerToken"] = f"Bearer {TOKEN}"
        api, clock = KubeApi(configuration), Clock()
        client, registry = KubeClient(api), Registry()
        queue = AsyncWorkQueue(WorkQueue(jitter=lambda: 1.0), clock)
        metrics = FakeMetrics(clock)
        loop = Loop(
            registry=registry,
            queue=queue,
            metrics=metrics,
            reconciler=Reconciler(registry, client, ClusterFeatures(), clock.now, stale_after_seconds=20),
            telemetry=FakeTelemetry(),  # type: ignore[arg-type] # answers to every name
            interval_seconds=5.0,
            clock=clock,
            now=clock.now,
        )
        scene = cls(
            plane,
            namespace,
            registry,
            Targets(registry, queue, client, api, client.scales),
            loop,
            metrics,
            clock,
            client,
        )
        try:
            async with scene._group:
                yield scene
                for task in scene._tasks():
                    task.cancel()
        finally:
            await api.close()
            with (
                warnings.catch_warnings()
            ):  # a task that is cancelled while it connects leaves its socket to the collector
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()

    def _tasks(self) -> list["asyncio.Task[None]"]:
        return [task for place in self.targets._places.values() for task in place.tasks.values()]

    def path(self, kind: str, name: str = "") -> str:
        root = "/apis/acme.io/v1" if kind == "Farm" else "/apis/apps/v1"
        return f"{root}/namespaces/{self.namespace}/{_PLURALS[kind]}{f'/{name}' if name else ''}"

    def get(self, kind: str, name: str = "web") -> Any:
        return self.plane.ask("GET", self.path(kind, name))

    def patch(self, kind: str, name: str, body: Spec, *, subresource: str = "", manager: str = "test") -> Any:
        path = f"{self.path(kind, name)}{subresource and f'/{subresource}'}?fieldManager={manager}"
        return self.plane.ask("PATCH", path, body, _MERGE)

    def make(self, kind: str = "Deployment", name: str = "web", replicas: int = 2, **spec: Any) -> Any:
        """A workload with two containers, as somebody deploys it."""
        labels = {"app": name}
        containers = [container("web", cpu="500m"), container("proxy", cpu="100m")]
        template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
        body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec}
        if kind == "Farm":
            body = {"size": replicas, **spec}
        api_version = "acme.io/v1" if kind == "Farm" else "apps/v1"
        manifest = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": body}
        return self.plane.ask("POST", f"{self.path(kind)}?fieldManager=owner", manifest)

    def count(self, kind: str, name: str = "web", **status: Any) -> None:
        """What its controller reports."""
        self.patch(kind, name, {"status": status}, subresource="status", manager="controller")

    def run(self, owner: Any, number: int, name: str = "web", labels: Spec | None = None) -> list[str]:
        """Pods of an owner, as its controller and the kubelets would have them; their names."""
        names = [f"{owner['metadata']['name']}-{index}" for index in range(number)]
        for pod in names:
            self.add_pod(owner, pod, labels or {"app": name})
        return names

    def add_pod(self, owner: Any, name: str, labels: Spec) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        kind = owner.get("kind", "ReplicaSet")
        reference = {
            "kind": kind,
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
        }
        metadata = {"name": name, "labels": labels, "ownerReferences": [reference | {"apiVersion": "apps/v1"}]}
        spec = {"containers": [{"name": "web", "image": "web:1"}]}
        self.plane.ask("POST", path, {"metadata": metadata, "spec": spec})
        began = (datetime.now(UTC) - timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": began}
        status = {"phase": "Running", "startTime": began, "conditions": [ready]}
        self.plane.ask("PATCH", f"{path}/{name}/status", {"status": status}, _MERGE)

    def replica_set(self, deployment: Any, suffix: str = "abc12") -> Any:
        """A ReplicaSet that a Deployment owns."""
        metadata = deployment["metadata"]
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}
        spec = {key: deployment["spec"][key] for key in ("selector", "template")} | {"replicas": 0}
        owned = {"name": f"{metadata['name']}-{suffix}", "ownerReferences": [reference | {"controller": True}]}
        return self.plane.ask("POST", self.path("ReplicaSet"), {"metadata": owned, "spec": spec})

    def app(self, kind: str = "Deployment", target: str = "web", name: str = "web", **scaling: Any) -> AppKey:
        """Somebody creates a ScalableApp."""
        version = "acme.io/v1" if kind == "Farm" else "apps/v1"
        horizontal = {"minReplicas": 1, "metrics": [metric(target="60%")], **scaling.pop("horizontal", {})}
        ref = {"apiVersion": version, "kind": kind, "name": target}
        spec = {"targetRef": scaling.pop("ref", ref), "scaling": {"horizontal": horizontal, **scaling}}
        body = {
            "apiVersion": "scalableapp.io/v1alpha1",
            "kind": "ScalableApp",
            "metadata": {"name": name},
            "spec": spec,
        }
        made = self.plane.ask("POST", f"/apis/scalableapp.io/v1alpha1/namespaces/{self.namespace}/scalableapps", body)
        key = self.registry.app_seen(made)
        assert key
        return key

    def status(self, key: AppKey) -> Any:
        path = f"/apis/scalableapp.io/v1alpha1/namespaces/{key.namespace}/scalableapps/{key.name}"
        return self.plane.ask("GET", path).get("status") or {}

    def condition(self, key: AppKey, type_: str) -> tuple[str, str, str]:
        found = {entry["type"]: entry for entry in self.status(key).get("conditions", ())}[type_]
        return found["status"], found["reason"], found["message"]

    def events(self) -> dict[str, str]:
        """Messages of the Events by their reasons."""
        items = self.plane.ask("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return {item["reason"]: item["message"] for item in items}

    def record(self, key: AppKey) -> AppRecord:
        found = self.registry.get(key)
        assert found
        return found

    def use(self, key: AppKey, kind: MetricType = MetricType.CPU, **containers: float) -> None:
        """What each container of each pod of the app uses from now on."""
        values = {(key.namespace, name): dict(containers) for name in self.record(key).pods}
        self.metrics.containers[kind] = ContainerAnswer(values)

    async def until(self, holds: Callable[[], Any], what: str = "it") -> None:
        """Follow the targets until it holds."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_SECONDS:
            await self.targets.sync(self._group)
            if holds():
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{what} did not happen within {PATIENCE_SECONDS:.0f} s")

    async def known(self, key: AppKey, pods: int) -> None:
        """Until the app's workload and so many pods of it are known."""
        await self.until(lambda: self.record(key).deployment and len(self.record(key).pods) == pods, "it is known")
        for name, pod in self.record(key).pods.items():
            assert pod.ready, name

    async def tick(self, times: int = 1) -> None:
        """Looks, five seconds apart, each with what follows from it."""
        for _ in range(times):
            self.clock.seconds += 5
            await self.loop.tick()
            await self.settle()

    async def settle(self) -> None:
        for record in list(self.registry.apps()):
            await self.loop.work(record)


def container(name: str, **requests: str) -> Spec:
    return {"name": name, "image": "web:1", "resources": {"requests": requests}}
