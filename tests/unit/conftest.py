"""What tests of several folders share."""

import os

import pytest

from tests import prometheus_servers
from tests.prometheus_servers import NAMES, VICTORIAMETRICS, Program, Server


@pytest.fixture(autouse=True, scope="session")
def _terminals_have_their_own_size() -> None:
    """pytest-xdist states the size of a terminal, which programs believe rather than the one they run in."""
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session", params=NAMES)
def prometheus(request: pytest.FixtureRequest) -> Program:
    """Each Prometheus that queries and rules have to work with. How far compiling one is, is shown."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        return prometheus_servers.program(request.param)


@pytest.fixture(scope="session", params=(*NAMES, VICTORIAMETRICS))
def promql_server(request: pytest.FixtureRequest) -> Server:
    """Each server that the operator's queries have to work with."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        return prometheus_servers.server(request.param)
