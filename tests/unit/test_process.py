"""The process: how it starts, and what it says when it cannot."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scalableapp import process
from scalableapp.errors import NotFound, ScalableAppError
from scalableapp.settings import Settings

OPERATOR = Path(__file__).parents[2] / "operator"
PATIENCE_SECONDS = 60


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Outside of any pod, with a kubeconfig of a cluster that does not answer."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: c,"
        " clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}],"
        " contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {}}]}"
    )
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": str(OPERATOR), "KUBECONFIG": str(kubeconfig)}
    return paths | {"SCALABLEAPP_METRICS_PORT": port}


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scalableapp"]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


def test_a_wrong_setting_ends_it_with_one_sentence(environment: dict[str, str]) -> None:
    ended = run(environment | {"SCALABLEAPP_INTERVAL_SECONDS": "soon"})
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "SCALABLEAPP_INTERVAL_SECONDS='soon'" in ended.stderr


def test_a_cluster_that_does_not_answer_ends_it_with_one_line(environment: dict[str, str]) -> None:
    ended = run(environment)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "The operator exits: GET /apis/scalableapp.io/v1alpha1/scalableapps" in ended.stderr


def test_no_way_to_a_cluster_ends_it_with_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    ended = run(environment | {"KUBECONFIG": str(tmp_path / "none")})
    assert ended.returncode == 1
    assert "set KUBECONFIG" in ended.stderr


async def test_without_the_crd_the_message_says_how_to_get_it() -> None:
    class Client:
        async def list_metadata(self, *_: str) -> AsyncIterator[None]:
            raise NotFound("404")
            yield None  # what makes it a generator

    with pytest.raises(ScalableAppError, match="kubectl apply -f crds/"):
        await process._require_crd(Client(), Settings())  # type: ignore[arg-type] # lists as KubeClient does


async def test_a_signal_ends_the_wait_for_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = asyncio.Event()

    async def connect(*_: object) -> None:
        waiting.set()
        await asyncio.sleep(PATIENCE_SECONDS)

    monkeypatch.setattr(process, "_connect", connect)
    running = asyncio.create_task(process.operate(Settings()))
    await waiting.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 5)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


def test_of_tasks_that_failed_together_the_first_is_reported() -> None:
    lost = ScalableAppError("the Lease is lost")
    assert process._cause(ExceptionGroup("tasks", [ExceptionGroup("inner", [lost]), ValueError()])) is lost
