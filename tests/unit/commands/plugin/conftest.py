"""The command line against an API server on loopback that holds what a test puts there."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalableapp.commands import cli
from tests.unit.adapters.canned import ApiServer, Asked, Refusal
from tests.unit.adapters.conftest import canned, server

__all__ = ["canned", "server"]

APPS = "/apis/scalableapp.io/v1alpha1/scalableapps"
SHOP = "/apis/scalableapp.io/v1alpha1/namespaces/shop/scalableapps"


def app(name: str = "web", namespace: str = "shop", current: str = "40", **spec: Any) -> dict[str, Any]:
    """A ScalableApp as the API server holds it, under load."""
    ready = {"type": "Ready", "status": "True", "reason": "InSync", "message": "all is in line"}
    decision = {
        "time": "2026-11-23T12:00:00Z",
        "from": 4,
        "to": 5,
        "reason": "DesiredWithinRange",
        "message": "RequestsPerSecond is 40 requests/s per pod",
        "steps": [],
    }
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "generation": 1,
            "creationTimestamp": "2026-11-20T12:00:00Z",
        },
        "spec": {"image": "web:1", "scaling": {"horizontal": {"minReplicas": 2, "maxReplicas": 20}}, **spec},
        "status": {
            "observedGeneration": 1,
            "replicas": 4,
            "readyReplicas": 4,
            "desiredReplicas": 5,
            "url": f"http://{name}.test/",
            "metrics": [
                {"name": "CPU", "current": "100m", "target": "300m"},
                {"name": "RequestsPerSecond", "current": current, "target": "50"},
            ],
            "decision": decision,
            "resources": {"current": {"cpu": {"request": "250m"}, "memory": {"request": "128Mi"}}},
            "conditions": [ready],
        },
    }


class Terminal:
    """Runs the command line with a kubeconfig for the server."""

    def __init__(self, file: Path, server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = file
        self._capsys = capsys
        self._server = server
        self.known: dict[str, Any] = {}
        server.respond = self._respond
        config = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
            "clusters": [{"name": "c", "cluster": {"server": server.url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
        file.write_text(yaml.safe_dump(config))

    def _respond(self, asked: Asked) -> Any:
        found = self.known.get(asked.path, Refusal(404, "the server could not find the requested resource"))
        return found(asked) if callable(found) else found

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        command = [arguments[0], "--kubeconfig", str(self.file), *arguments[1:]]
        status = await asyncio.to_thread(cli.main, command)
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err

    def asked(self, verb: str) -> list[Asked]:
        return [asked for asked in self._server.asked if asked.verb == verb]


@pytest.fixture
def terminal(tmp_path: Path, server: ApiServer, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(tmp_path / "config", server, capsys)
