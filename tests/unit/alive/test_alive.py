"""The operator's own process against a real API server, with faults in between: it waits, and it comes back."""

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from scalableapp.adapters.progress import Stage
from tests.control_plane import (
    ControlPlane,
    Fault,
    FaultProxy,
    OperatorProcess,
    answers,
    control_plane,
    cuts,
    eventually,
    is_silent,
    leases_are_silent,
    refuses,
    resets,
    watch_says,
)

pytestmark = [pytest.mark.process, pytest.mark.long]

APPS = "/apis/scalableapp.io/v1alpha1/namespaces/{}/scalableapps"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/scalableapp-operator"
# The aim after a fault of less than 5 minutes is 5 s, which benchmarks measure; a busy machine gets more.
BACK_SECONDS = 20.0
tags = itertools.count(1)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as plane:
        plane.install_crd()
        for namespace in ("one", "two"):
            plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
            make_app(plane, namespace)
        yield plane


@pytest.fixture(scope="module")
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(plane) as proxy:
        yield proxy


@pytest.fixture
def operator(proxy: FaultProxy, tmp_path: Path) -> Iterator[OperatorProcess]:
    with OperatorProcess(proxy.url, tmp_path) as operator:
        eventually(operator.acts, what="the operator acts")
        yield operator
        assert "Traceback" not in operator.log


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


def make_app(plane: ControlPlane, namespace: str) -> None:
    body = {"apiVersion": "scalableapp.io/v1alpha1", "kind": "ScalableApp", "metadata": {"name": "web"}}
    plane.ask("POST", APPS.format(namespace), body | {"spec": {"image": "web:0"}})


def acts_on(plane: ControlPlane, namespace: str = "one", within: float = BACK_SECONDS) -> float:
    """Change an app, and wait until its Deployment has followed: the seconds that took."""
    image = change_image(plane, namespace)
    return eventually(lambda: deployed(plane, namespace) == image, within, f"{image} is deployed in {namespace}")


def change_image(plane: ControlPlane, namespace: str) -> str:
    image = f"web:{next(tags)}"
    patch, kind = {"spec": {"image": image}}, "application/merge-patch+json"
    plane.ask("PATCH", APPS.format(namespace) + "/web", patch, kind)
    return image


def deployed(plane: ControlPlane, namespace: str) -> str:
    found = plane.ask("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if found else ""


def waiting_for(operator: OperatorProcess) -> list[Stage]:
    return [stage for stage in Stage if operator.metric(f'scalableapp_waiting_for{{stage="{stage}"}}')]


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


def test_a_short_fault_is_over_without_a_new_term(
    plane: ControlPlane, proxy: FaultProxy, operator: OperatorProcess
) -> None:
    with proxy.fault(refuses(500, "leases")):
        eventually(lambda: "cannot be renewed" in operator.readiness()[1], what="the trouble is seen in /readyz")
    eventually(operator.acts)
    assert operator.log.count("The operator acts") == 1
    acts_on(plane)


def test_a_crd_that_is_deleted_while_it_is_served_is_waited_for(tmp_path: Path) -> None:
    with control_plane(tmp_path) as plane:
        for namespace in ("one", "two"):
            plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        with OperatorProcess(plane.url, tmp_path / "operator", "one,two", certificate=plane.certificate) as operator:
            eventually(lambda: waiting_for(operator) == [Stage.CRD])
            assert "kubectl apply -f crds/" in operator.readiness()[1]
            for _ in range(2):
                plane.install_crd()
                make_app(plane, "one")
                eventually(lambda: deployed(plane, "one"), BACK_SECONDS)
                eventually(operator.acts)
                plane.delete_crd()
                plane.ask("DELETE", "/apis/apps/v1/namespaces/one/deployments/web")
                eventually(lambda: waiting_for(operator) == [Stage.CRD])
                assert operator.health()[0] == 200
            assert operator.end() == 0


def test_of_its_namespaces_one_that_cannot_be_watched_does_not_hold_up_the_others(
    plane: ControlPlane, proxy: FaultProxy, tmp_path: Path
) -> None:
    with OperatorProcess(proxy.url, tmp_path, "one,two") as operator:
        eventually(operator.acts)
        with proxy.fault(refuses(403, "/namespaces/two/")):
            eventually(lambda: "waiting for namespace two" in operator.readiness()[1])
            assert operator.readiness()[0] == 200
            acts_on(plane, "one")
        acts_on(plane, "two")
        eventually(operator.acts)


def test_it_starts_though_one_of_its_namespaces_is_missing(
    plane: ControlPlane, proxy: FaultProxy, tmp_path: Path
) -> None:
    with proxy.fault(refuses(403, "/namespaces/two/")), OperatorProcess(proxy.url, tmp_path, "one,two") as operator:
        eventually(lambda: "waiting for namespace two" in operator.readiness()[1])
        acts_on(plane, "one")


def test_a_deleted_lease_is_made_again(plane: ControlPlane, survivor: OperatorProcess) -> None:
    plane.ask("DELETE", LEASE)
    eventually(lambda: plane.ask("GET", LEASE)["spec"]["holderIdentity"])
    acts_on(plane)


@contextmanager
def stopped(operator: OperatorProcess, _proxy: FaultProxy) -> Iterator[None]:
    operator.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        operator.process.send_signal(signal.SIGCONT)


@contextmanager
def without_renewals(_operator: OperatorProcess, proxy: FaultProxy) -> Iterator[None]:
    with proxy.fault(leases_are_silent):
        yield


@contextmanager
def changes_all_the_time(plane: ControlPlane) -> Iterator[None]:
    """There is always something to write, for whoever acts."""
    over = threading.Event()

    def change() -> None:
        while not over.wait(0.05):
            for namespace in ("one", "two"):
                change_image(plane, namespace)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("hindered", [stopped, without_renewals])
def test_of_two_never_both_act(
    plane: ControlPlane, tmp_path: Path, hindered: Callable[[OperatorProcess, FaultProxy], AbstractContextManager[None]]
) -> None:
    one, two = FaultProxy(plane), FaultProxy(plane)
    first = OperatorProcess(one.url, tmp_path / "first")
    second = OperatorProcess(two.url, tmp_path / "second")
    with one, two, first:
        eventually(first.acts)
        with second, changes_all_the_time(plane):
            eventually(lambda: waiting_for(second) == [Stage.STANDBY])
            assert second.readiness()[0] == 200
            with hindered(first, one):
                eventually(second.acts, what="the second one acts")
            eventually(lambda: waiting_for(first) == [Stage.STANDBY])
            eventually(lambda: len(two.written) > 20)
            assert second.acts()
            assert max(one.written) < min(two.written)


def test_at_the_end_the_lease_is_released_and_another_need_not_wait(
    plane: ControlPlane, operator: OperatorProcess
) -> None:
    assert operator.end() == 0
    assert plane.ask("GET", LEASE)["spec"]["holderIdentity"] == ""


@pytest.mark.parametrize("fault", [is_silent, resets], ids=["silent", "reset"])
def test_it_ends_in_time_whatever_hangs(proxy: FaultProxy, operator: OperatorProcess, fault: Fault) -> None:
    with proxy.fault(fault):
        assert operator.end() == 0


def test_it_ends_in_time_though_prometheus_hangs(proxy: FaultProxy, tmp_path: Path) -> None:
    silent = FaultProxy(proxy.plane)
    operator = OperatorProcess(proxy.url, tmp_path, prometheus=silent.url)
    with silent, silent.fault(is_silent), operator:
        eventually(operator.acts)
        time.sleep(1.5)  # the first queries are under way
        assert operator.end() == 0
