"""One API server for all of these tests, with an app in each of two namespaces, and a proxy before it."""

from collections.abc import Iterator

import pytest

from tests.control_plane import ControlPlane, FaultProxy, control_plane
from tests.unit.alive.apps import make_app


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as plane:
        plane.install_crd()
        for namespace in ("one", "two"):
            plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
            make_app(plane, namespace)
        yield plane


@pytest.fixture(scope="session")
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(plane) as proxy:
        yield proxy
