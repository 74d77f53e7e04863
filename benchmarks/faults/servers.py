"""The real servers on loopback: etcd, the API server with RBAC, and Kubernetes' controllers."""

import asyncio
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml

from cluster import gobuild
from cluster.settings import REPOSITORY

SYSTEM = "scalableapp-system"
ADMIN, OPERATOR = "admin-token", "operator-token"
_ACCOUNT = f"system:serviceaccount:{SYSTEM}:scalableapp-operator"
# Deployments become pods, owners take what they own with them, namespaces end, quotas count.
CONTROLLERS = ("deployment", "replicaset", "garbage-collector", "namespace", "resourcequota")
_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
_LOOK_SECONDS = 0.2


class BenchError(Exception):
    """The bench itself cannot go on; the message says why."""


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """An API server that is ready: its URL, for ADMIN and OPERATOR as bearer tokens, and its certificate."""

    url: str
    certificate: Path


@asynccontextmanager
async def control_plane(folder: Path, *, controllers: Sequence[str] = CONTROLLERS) -> AsyncIterator[ControlPlane]:
    """etcd, API server and these controllers with their files in `folder`; all end with the block.

    What is not compiled yet is compiled first, which takes some minutes. Raises BenchError, ClusterError.
    """
    etcd = gobuild.ensure("node") / "etcd"
    kubernetes = gobuild.ensure("kubernetes")
    shutil.rmtree(folder / "etcd", ignore_errors=True)
    async with AsyncExitStack() as stack:
        store = f"http://127.0.0.1:{free_port()}"
        await stack.enter_async_context(running("etcd", [str(etcd), *_etcd_flags(folder, store)], folder))
        url = f"https://127.0.0.1:{(port := free_port())}"
        flags = _api_server_flags(folder, store, port)
        api_server = [str(kubernetes / "kube-apiserver"), *flags]
        await stack.enter_async_context(running("kube-apiserver", api_server, folder))
        if not await eventually(lambda: _answers(f"{url}/readyz")):
            raise BenchError(f"the API server did not become ready: {tail(folder / 'kube-apiserver.log')}")
        if controllers:
            manager = [str(kubernetes / "kube-controller-manager"), *_controller_flags(folder, url, controllers)]
            await stack.enter_async_context(running("kube-controller-manager", manager, folder))
        yield ControlPlane(url, folder / "certificates" / "apiserver.crt")


def _etcd_flags(folder: Path, url: str) -> list[str]:
    peer = f"http://127.0.0.1:{free_port()}"
    flags = {
        "data-dir": folder / "etcd",
        "listen-client-urls": url,
        "advertise-client-urls": url,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        # Nothing of it outlives the run.
        "unsafe-no-fsync": "true",
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def _api_server_flags(folder: Path, store: str, port: int) -> list[str]:
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{ADMIN},admin,1,"system:masters"\n{OPERATOR},{_ACCOUNT},2,"system:serviceaccounts"\n')
    key = folder / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True, timeout=60)
    flags = {
        "etcd-servers": store,
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "cert-dir": folder / "certificates",
        "token-auth-file": tokens,
        "authorization-mode": "RBAC",
        "service-cluster-ip-range": "10.96.0.0/16",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": key,
        "service-account-signing-key-file": key,
        # No controller makes accounts for the pods, which never run.
        "disable-admission-plugins": "ServiceAccount",
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def _controller_flags(folder: Path, url: str, controllers: Sequence[str]) -> list[str]:
    flags = {
        "kubeconfig": write_kubeconfig(folder / "controllers.kubeconfig", url, ADMIN),
        "controllers": ",".join(f"{name}-controller" for name in controllers),
        "leader-elect": "false",
        "secure-port": "0",
        "kube-api-qps": "200",
        "kube-api-burst": "400",
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def write_kubeconfig(path: Path, url: str, token: str, authority: Path | None = None) -> Path:
    """A kubeconfig for that server and token; without an `authority` any certificate serves."""
    trust = {"certificate-authority": str(authority)} if authority else {"insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "clusters": [{"name": "bench", "cluster": {"server": url, **trust}}],
        "users": [{"name": "bench", "user": {"token": token}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def tail(log: Path) -> str:
    """The end of a log."""
    return log.read_text(errors="replace")[-2000:]


@asynccontextmanager
async def running(name: str, command: Sequence[str], folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process with its output in `folder`/NAME.log; it ends with the block, by its own process ID."""
    with (folder / f"{name}.log").open("wb") as log:
        # A group of its own: Ctrl-C reaches the bench, which ends the others in order.
        process = await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, cwd=REPOSITORY, start_new_session=True
        )
    try:
        yield process
    finally:
        await end(process, _STOP_SECONDS)


async def end(process: asyncio.subprocess.Process, grace_seconds: float) -> bool:
    """SIGTERM, and SIGKILL after `grace_seconds`; whether SIGTERM was enough."""
    if process.returncode is not None:
        return True
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), grace_seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        return False
    return True


async def eventually(is_so: Callable[[], Awaitable[bool]], within_seconds: float = _START_SECONDS) -> bool:
    """Wait until something is so; False where that takes too long."""
    for _ in range(int(within_seconds / _LOOK_SECONDS)):
        if await is_so():
            return True
        await asyncio.sleep(_LOOK_SECONDS)
    return False


async def _answers(url: str) -> bool:
    try:
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with aiohttp.request("GET", url, ssl=False, headers=headers) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
