"""A real API server for all of these tests; what controllers and kubelets would write is written by the tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.control_plane import ControlPlane, control_plane
from tests.unit.targets.scene import FARMS, Scene, install_farms


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as plane:
        plane.install_crd()
        install_farms(plane)
        yield plane


@pytest.fixture
async def scene(plane: ControlPlane) -> AsyncIterator[Scene]:
    async with Scene.in_a_namespace(plane) as scene:
        yield scene


__all__ = ["FARMS"]
