"""The process: how it starts, and what it says when it cannot."""

import os
import socket
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from kubernetes.aio.client.configuration import Configuration

from scalableapp import process
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
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": str(OPERATOR), "KUBECONFIG": str(kubeconfig)}
    return paths | {f"SCALABLEAPP_{name}_PORT": str(free_port()) for name in ("METRICS", "LIVENESS")}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


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


def test_a_wrong_connection_to_prometheus_ends_it_with_the_field_and_without_the_secret(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "prometheus.yaml"
    file.write_text("url: http://prometheus:9090\nbasic_auth: {user: me, password: S3cret}")
    ended = run(environment | {"SCALABLEAPP_PROMETHEUS_CONFIG": str(file)})
    assert ended.returncode == 1
    assert f"{file}: basic_auth.user: unknown; correct or remove it" in ended.stderr
    assert "S3cret" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_cluster_that_does_not_answer_is_waited_for_until_a_signal_comes(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "scalableapp"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as operator:
        assert operator.stderr
        lines = [operator.stderr.readline() for _ in range(2)]
        assert "Waiting for the Kubernetes API: GET /api/v1: no answer from the Kubernetes API" in lines[1]
        operator.terminate()
        operator.wait(PATIENCE_SECONDS)
        assert operator.returncode == 0
        assert "Stopped by a signal" in operator.stderr.read()


@pytest.mark.parametrize("name", ["METRICS", "LIVENESS"])
def test_a_port_that_is_taken_ends_it_with_one_line(environment: dict[str, str], name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run(environment | {f"SCALABLEAPP_{name}_PORT": str(port)})
    assert ended.returncode == 1
    assert f"Port {port} cannot be served" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_no_way_to_a_cluster_ends_it_with_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    ended = run(environment | {"KUBECONFIG": str(tmp_path / "none")})
    assert ended.returncode == 1
    assert "set KUBECONFIG" in ended.stderr


async def test_each_process_has_an_identity_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def configuration() -> Configuration:
        return Configuration(host="http://127.0.0.1:1")

    async def identity() -> str:
        async with AsyncExitStack() as stack:
            return (await process._connect(Settings(), stack)).lease._identity

    monkeypatch.setattr(process, "load_configuration", configuration)
    first, second = await identity(), await identity()
    assert first != second
    assert first.startswith(socket.gethostname())
