"""A real API server with the CRDs of KEDA, VPA and Argo Rollouts, and the command line on it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from scalableapp.commands import cli
from tests import rivals
from tests.control_plane import TOKEN, ControlPlane, control_plane, eventually

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as plane:
        plane.install_crd()
        for release in (rivals.KEDA, rivals.VPA, rivals.ARGO_ROLLOUTS):
            for crd in rivals.crds(release):
                install(plane, crd)
        yield plane


def install(plane: ControlPlane, crd: dict[str, Any]) -> None:
    """Install a CRD, and wait until it is served."""
    plane.ask("POST", _CRDS, crd)
    spec = crd["spec"]
    version = next(each["name"] for each in spec["versions"] if each["served"])
    path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
    eventually(lambda: plane.ask("GET", path) is not None)


class Answer(NamedTuple):
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal:
    """Runs `adopt` on the API server."""

    def __init__(self, file: Path, plane: ControlPlane, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self._capsys = file, capsys
        self._write({"server": plane.url, "certificate-authority": plane.certificate})

    def _write(self, cluster: dict[str, str]) -> None:
        config = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
        }
        self.file.write_text(yaml.safe_dump(config))

    def through(self, url: str) -> "Terminal":
        """The same, by way of a proxy."""
        self._write({"server": url})
        return self

    def adopt(self, *arguments: str) -> Answer:
        status = cli.main(["adopt", "--kubeconfig", str(self.file), *arguments])
        return Answer(status, *self._capsys.readouterr())


@pytest.fixture
def terminal(plane: ControlPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(tmp_path / "kubeconfig", plane, capsys)
