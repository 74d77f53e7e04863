"""What a row acts on: servers that all rows share, and of its own two namespaces, an app and an operator."""

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmarks.faults import certificates
from benchmarks.faults.certificates import Certificates
from benchmarks.faults.kube import Kube, Manifest, app_path
from benchmarks.faults.kubelet import Kubelet
from benchmarks.faults.operator import Operator
from benchmarks.faults.proxy import Proxy
from benchmarks.faults.replicas import TARGET, Loads, Replicas
from benchmarks.faults.servers import OPERATOR, SYSTEM, BenchError, control_plane, eventually, tail, write_kubeconfig
from benchmarks.faults.standin import LOAD_METRIC, StandIn
from cluster.settings import REPOSITORY

LOAD, PODS = 90.0, 5
MORE_LOAD, MORE_PODS = 150.0, 8
_SETTLES_SECONDS = 120.0
_BASE = REPOSITORY / "manifests" / "base"
CRD = (REPOSITORY / "crds" / "scalableapps.scalableapp.io.yaml").read_text()
_ACCOUNT = [
    (_BASE / name).read_text() for name in ("service-account.yaml", "cluster-role/cluster-role.yaml", "rbac.yaml")
]
_OF_NAMESPACE = (REPOSITORY / "manifests" / "watched-namespace" / "role-binding.yaml").read_text()
REQUESTS = {"type": "RequestsPerSecond", "target": f"{TARGET:g}"}
QUERY = {"type": "Prometheus", "target": f"{TARGET:g}", "query": f'sum({LOAD_METRIC}{{namespace="$namespace"}})'}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything that a fault can reach. `shop` is the namespace whose app is watched, `tenant` that of another."""

    kube: Kube
    api: Proxy
    prometheus: Proxy
    standin: StandIn
    kubelet: Kubelet
    loads: Loads
    replicas: Replicas
    operator: Operator
    certificates: Certificates
    clock: Path
    shop: str
    tenant: str

    async def settled(self) -> None:
        """Wait until the app has the pods that its load needs. Raises BenchError where it does not come to that."""
        wanted = math.ceil(self.standin.loads[self.shop] / TARGET)

        async def has_them() -> bool:
            return self.replicas.of(self.shop) == wanted == len(self.kubelet.ready_pods(self.shop))

        if not await eventually(has_them, _SETTLES_SECONDS):
            raise BenchError(f"no {wanted} pods before the fault; the operator's log: {tail(self.operator.log)}")
        # The operator has seen it, too.
        await asyncio.sleep(3.0)

    async def apps(self) -> list[Manifest]:
        """The ScalableApps of both namespaces."""
        found = [await self.kube.get(app_path(namespace, "")) for namespace in (self.shop, self.tenant)]
        return [app for entry in found if entry for app in entry["items"]]


class Install(NamedTuple):
    """How the operator of a scene is installed: see Row."""

    namespaced: bool = False
    tls: bool = False
    clock: bool = False


class Bench:
    """The servers that all rows share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    @asynccontextmanager
    async def up(self) -> AsyncIterator["Bench"]:
        """Until the block ends. Raises BenchError, ClusterError."""
        async with AsyncExitStack() as stack:
            plane = await stack.enter_async_context(control_plane(self._folder))
            self._kube = await stack.enter_async_context(Kube(plane.url))
            await self._install()
            self._kubelet = Kubelet(self._kube)
            self._standin = StandIn(self._kubelet.ready_pods)
            self._loads = Loads(self._standin)
            self._replicas = Replicas(self._kube, self._loads)
            prometheus = await stack.enter_async_context(self._standin.serving())
            self._certificates = certificates.make(self._folder / "tls")
            by_tls = (None, self._certificates.good)
            self._prometheus = [await stack.enter_async_context(Proxy(prometheus, own)) for own in by_tls]
            self._api = [await stack.enter_async_context(Proxy(plane.url, own)) for own in by_tls]
            yield self

    async def _install(self) -> None:
        await self._kube.apply(_named("Namespace", SYSTEM))
        for text in (CRD, *_ACCOUNT):
            await self._kube.apply_text(text)
        await self._kube.served(app_path("default", ""))

    @asynccontextmanager
    async def scene(self, metrics: Iterable[Manifest], install: Install, load: float = LOAD) -> AsyncIterator[Scene]:
        """An app that has settled on its load, under a new operator; all of it is gone after the block."""
        number = next(self._numbers)
        shop, tenant = f"shop-{number}", f"tenant-{number}"
        for namespace in (shop, tenant):
            await self._kube.apply(_named("Namespace", namespace))
        await self._kube.apply(app_of(shop, metrics=list(metrics)))
        self._loads.set(shop, load)
        if install.namespaced:
            await self._restrict_to(shop, tenant)
        (clock := self._folder / f"{shop}.clock").write_text("0")
        environment = self._environment(f"{shop},{tenant}" if install.namespaced else "", install) | {
            "BENCH_CLOCK": str(clock)
        }
        module = "benchmarks.faults.clock" if install.clock else "scalableapp"
        operator = Operator(environment, self._folder / f"{shop}.log", module)
        scene = Scene(
            kube=self._kube,
            api=self._api[install.tls],
            prometheus=self._prometheus[install.tls],
            standin=self._standin,
            kubelet=self._kubelet,
            loads=self._loads,
            replicas=self._replicas,
            operator=operator,
            certificates=self._certificates,
            clock=clock,
            shop=shop,
            tenant=tenant,
        )
        try:
            async with following(self._kubelet.run()), following(self._replicas.run()), following(operator.run()):
                await scene.settled()
                yield scene
        finally:
            await self._clear(shop, tenant)

    async def _restrict_to(self, *namespaces: str) -> None:
        """Permissions as in an install that serves some namespaces, where Roles have the ClusterRole's rules."""
        await self._kube.delete("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/scalableapp-operator")
        binding = yaml.safe_load(_OF_NAMESPACE)
        binding["roleRef"]["kind"] = "ClusterRole"
        for namespace in namespaces:
            binding["metadata"]["namespace"] = namespace
            await self._kube.apply(binding)

    def _environment(self, namespaces: str, install: Install) -> dict[str, str]:
        authority = self._certificates.authority
        url, ours = self._api[install.tls].url, self._folder / "operator.kubeconfig"
        return {
            "KUBECONFIG": str(write_kubeconfig(ours, url, OPERATOR, authority if install.tls else None)),
            "REQUESTS_CA_BUNDLE": str(authority),
            "PYTHONPATH": f"{REPOSITORY / 'operator'}:{REPOSITORY}",
            "NO_PROXY": "127.0.0.1",
            "SCALABLEAPP_PROMETHEUS_URL": self._prometheus[install.tls].url,
            "SCALABLEAPP_LEASE_NAMESPACE": SYSTEM,
            "SCALABLEAPP_NAMESPACES": namespaces,
            "SCALABLEAPP_LOG_FORMAT": "plain",
        }

    async def _clear(self, *namespaces: str) -> None:
        """Every row begins with what the install made, and nothing else."""
        await self._kube.apply_text(_ACCOUNT[-1])
        for namespace in namespaces:
            self._standin.loads.pop(namespace, None)
            await self._kube.delete(app_path(namespace, ""))
            await self._kube.delete(f"/api/v1/namespaces/{namespace}")
        await self._kube.delete(f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/scalableapp-operator")


def app_of(namespace: str, name: str = "web", *, metrics: list[Manifest], **spec: Any) -> Manifest:
    """A ScalableApp whose every wrong number shows at once, as it waits with nothing."""
    horizontal = {
        "minReplicas": 1,
        "maxReplicas": 60,
        "metrics": metrics,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    }
    return {
        "apiVersion": "scalableapp.io/v1alpha1",
        "kind": "ScalableApp",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "image": "shop:1",
            "ingress": {"enabled": False},
            "scaling": {"mode": "Horizontal", "horizontal": horizontal},
            **spec,
        },
    }


def _named(kind: str, name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


@asynccontextmanager
async def following(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Work that goes on beside the block and ends with it. Raises BenchError after a block in which it failed."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled() and (failure := task.exception()):
        raise BenchError(f"the bench itself failed: {failure!r}") from failure
