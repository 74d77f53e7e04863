"""One operator that lives through fault after fault of a real API server: it waits, and it is back soon after."""

import time
from collections.abc import Iterator

import pytest

from benchmarks.faults.proxy import Fault
from scalableapp.adapters.progress import Stage
from tests.control_plane import (
    ControlPlane,
    FaultProxy,
    OperatorProcess,
    answers,
    cuts,
    eventually,
    is_silent,
    refuses,
    resets,
    watch_says,
)
from tests.unit.alive.apps import LEASE, acts_on, waiting_for

pytestmark = [pytest.mark.process, pytest.mark.alone]


@pytest.fixture(scope="module")
def lasting(proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One operator that lives through fault after fault."""
    with OperatorProcess(proxy.url, tmp_path_factory.mktemp("lasting")) as operator:
        yield operator
        assert operator.end() == 0
        assert "Traceback" not in operator.log


@pytest.fixture
def survivor(lasting: OperatorProcess) -> OperatorProcess:
    eventually(lasting.acts, what="the operator acts")
    return lasting


FAULTS: dict[str, Fault] = {
    "reset": resets,
    "500": refuses(500),
    "503": refuses(503),
    "403": refuses(403),
    "404": refuses(404),
    "429 with seconds": refuses(429, **{"Retry-After": "30"}),
    "429 with a date": refuses(429, **{"Retry-After": "Wed, 21 Oct 2037 07:28:00 GMT"}),
    "html": answers("<html>a login page</html>"),
    "another object": answers("{}", "application/json"),
    "null": answers("null", "application/json"),
    "cut": cuts,
    "silent": is_silent,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_in_trouble_of_the_api_server_it_waits_and_is_back_soon_after(
    plane: ControlPlane, proxy: FaultProxy, survivor: OperatorProcess, fault: Fault
) -> None:
    logged = len(survivor.log.splitlines())
    with proxy.fault(fault):
        eventually(lambda: survivor.metric("scalableapp_lease_held") == 0, what="acting stops")
        eventually(lambda: waiting_for(survivor) in ([Stage.API], [Stage.LEASE]))
        time.sleep(1.5)  # long enough for several attempts
        assert survivor.health() == (200, "running")
        code, why = survivor.readiness()
        assert (code, why.startswith("waiting for the ")) == (503, True)
    acts_on(plane)
    eventually(survivor.acts)
    assert len(survivor.log.splitlines()) - logged < 20


def test_nobody_listens_for_a_while(plane: ControlPlane, proxy: FaultProxy, survivor: OperatorProcess) -> None:
    with proxy.down():
        eventually(lambda: survivor.metric("scalableapp_lease_held") == 0, what="acting stops")
        assert survivor.health()[0] == 200
    acts_on(plane)


WATCH_FAULTS = {
    "ERROR 500": '{"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd is away"}}\n',
    "ERROR 410": '{"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}\n',
    "a cut line": '{"type": "MODIFIED", "object": {"kind": "Deploy',
    "an object without metadata": '{"type": "MODIFIED", "object": {}}\n',
    "no event": "[]\n",
}


@pytest.mark.parametrize("line", WATCH_FAULTS.values(), ids=WATCH_FAULTS.keys())
def test_a_watch_that_says_nonsense_is_begun_again(
    plane: ControlPlane, proxy: FaultProxy, survivor: OperatorProcess, line: str
) -> None:
    with proxy.fault(watch_says(line)):
        time.sleep(1.0)
        assert survivor.health()[0] == 200
    acts_on(plane)


def test_a_deleted_lease_is_made_again(plane: ControlPlane, survivor: OperatorProcess) -> None:
    plane.ask("DELETE", LEASE)
    eventually(lambda: plane.ask("GET", LEASE)["spec"]["holderIdentity"])
    acts_on(plane)
