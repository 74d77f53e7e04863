"""The operator's own process against a real API server, with faults in between: it waits, and it comes back."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from benchmarks.faults.proxy import Fault
from scalableapp.adapters.progress import Stage
from tests.control_plane import (
    ControlPlane,
    FaultProxy,
    OperatorProcess,
    control_plane,
    eventually,
    is_silent,
    leases_are_silent,
    refuses,
    resets,
)
from tests.unit.alive.apps import APPS, BACK_SECONDS, LEASE, acts_on, change_image, deployed, make_app, waiting_for

pytestmark = [pytest.mark.process, pytest.mark.alone]


@pytest.fixture
def operator(proxy: FaultProxy, tmp_path: Path) -> Iterator[OperatorProcess]:
    with OperatorProcess(proxy.url, tmp_path) as operator:
        eventually(operator.acts, what="the operator acts")
        yield operator
        assert "Traceback" not in operator.log


def test_a_short_fault_is_over_without_a_new_term(plane: ControlPlane, proxy: FaultProxy, tmp_path: Path) -> None:
    with OperatorProcess(proxy.url, tmp_path, lease=(60, 50.0)) as operator:
        eventually(operator.acts)
        with proxy.fault(refuses(500, "leases")):
            eventually(lambda: "cannot be renewed" in operator.readiness()[1], what="the trouble is seen in /readyz")
        eventually(operator.acts)
        acts_on(plane)
        assert operator.log.count("The operator acts") == 1
        assert operator.end() == 0


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


def test_a_recreated_deployment_has_its_replicas_from_the_first_and_keeps_them(
    plane: ControlPlane, tmp_path: Path
) -> None:
    path = "/apis/apps/v1/namespaces/one/deployments/web"
    with OperatorProcess(plane.url, tmp_path, certificate=plane.certificate) as operator:
        eventually(operator.acts)
        plane.ask("PATCH", f"{APPS.format('one')}/web", {"spec": {"replicas": 3}}, "application/merge-patch+json")
        eventually(lambda: plane.ask("GET", path)["spec"]["replicas"] == 3)
        plane.ask("DELETE", path)
        eventually(lambda: plane.ask("GET", path)["metadata"]["generation"] == 1)
        assert plane.ask("GET", path)["spec"]["replicas"] == 3
        operator.process.kill()
    with OperatorProcess(plane.url, tmp_path, certificate=plane.certificate) as operator:
        for _ in range(2):
            acts_on(plane)
            assert plane.ask("GET", path)["spec"]["replicas"] == 3
    plane.ask("PATCH", f"{APPS.format('one')}/web", {"spec": {"replicas": None}}, "application/merge-patch+json")


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
