"""One real API server, without nodes, for the pods that apps are given."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from kubernetes.aio.client.configuration import Configuration

from scalableapp.adapters.kube_api import KubeApi
from scalableapp.adapters.kubernetes import KubeClient
from tests.control_plane import TOKEN, ControlPlane, control_plane


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as plane:
        plane.install_crd()
        for standard in ("restricted", "baseline"):
            labels = {"pod-security.kubernetes.io/enforce": standard}
            plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": standard, "labels": labels}})
        yield plane


@pytest.fixture
async def cluster(plane: ControlPlane) -> AsyncIterator[KubeClient]:
    async with client(plane) as found:
        yield found


@asynccontextmanager
async def client(plane: ControlPlane) -> AsyncIterator[KubeClient]:
    configuration = Configuration()
    configuration.host, configuration.ssl_ca_cert = plane.url, plane.certificate
    configuration.api_key = {"BearerToken": f"Bearer {TOKEN}"}
    api = KubeApi(configuration)
    yield KubeClient(api)
    await api.close()
