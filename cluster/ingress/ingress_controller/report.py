"""What users see of the controller in their Ingresses: the address in the status, an Event for each problem."""

import logging
import threading
from datetime import UTC, datetime
from typing import Any

import urllib3

from ingress_controller.kube import Api, ApiError, Object
from ingress_controller.table import Problem, Routing

log = logging.getLogger(__name__)

# Where the cluster tool publishes the controller's ports on the machine.
ADDRESSES = [{"hostname": "localhost"}]
RETRY_SECONDS = 10


class Reporter:
    """Writes status and Events in a thread of its own, so that a slow API server holds no routing up."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._latest = Routing("", (), ())
        self._changed = threading.Event()
        self._stopping = False
        self._told: set[Problem] = set()

    def start(self) -> None:
        """Report in a daemon thread."""
        threading.Thread(target=self._work, name="report", daemon=True).start()

    def report(self, routing: Routing) -> None:
        """Report on this routing soon; a later one takes its place."""
        self._latest = routing
        self._changed.set()

    def stop(self) -> None:
        """Report nothing more."""
        self._stopping = True
        self._changed.set()

    def _work(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            if self._stopping:
                return
            try:
                self._tell_all(self._latest)
            except (ApiError, urllib3.exceptions.HTTPError, OSError) as error:
                log.warning("cannot write status or Events: %s; next try in %s s at the latest", error, RETRY_SECONDS)
                self._changed.wait(RETRY_SECONDS)
                self._changed.set()

    def _tell_all(self, routing: Routing) -> None:
        for ingress in routing.served:
            if not has_address(ingress):
                self._send("PATCH", f"{_path(ingress)}/status", {"status": {"loadBalancer": {"ingress": ADDRESSES}}})
        self._told.intersection_update(routing.problems)
        by_identity = {_path(ingress): ingress for ingress in routing.served}
        for problem in routing.problems:
            if problem not in self._told:
                log.warning("Ingress %s/%s: %s: %s", *_values(problem))
                ingress = by_identity[_ingress_path(problem.namespace, problem.ingress)]
                event = event_of(problem, ingress["metadata"].get("uid", ""), datetime.now(UTC))
                self._send("POST", f"/api/v1/namespaces/{problem.namespace}/events", event)
                self._told.add(problem)

    def _send(self, method: str, path: str, body: Object) -> None:
        try:
            self._api.request(method, path, body)
        except ApiError as error:
            if error.status not in {404, 409}:  # gone meanwhile, or its namespace is going
                raise


def has_address(ingress: Object) -> bool:
    """Tell whether an Ingress's status already holds our address."""
    load_balancer = (ingress.get("status") or {}).get("loadBalancer") or {}
    return bool(load_balancer.get("ingress") == ADDRESSES)


def event_of(problem: Problem, uid: str, now: datetime) -> dict[str, Any]:
    """Return a core/v1 Event that tells of a problem."""
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"generateName": f"{problem.ingress}.", "namespace": problem.namespace},
        "involvedObject": {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "namespace": problem.namespace,
            "name": problem.ingress,
            "uid": uid,
        },
        "type": "Warning",
        "reason": problem.reason,
        "message": problem.message,
        "source": {"component": "ingress-controller"},
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }


def _values(problem: Problem) -> tuple[str, str, str, str]:
    return problem.namespace, problem.ingress, problem.reason, problem.message


def _path(ingress: Object) -> str:
    return _ingress_path(ingress["metadata"]["namespace"], ingress["metadata"]["name"])


def _ingress_path(namespace: str, name: str) -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/{name}"
