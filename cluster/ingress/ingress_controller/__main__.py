"""Run the controller in its pod: `python -m ingress_controller`."""

import logging
import signal
import sys
import threading
import time
from pathlib import Path

from ingress_controller.kube import Api, Collection
from ingress_controller.nginx import Nginx, NginxError, Ports, certificate_problem
from ingress_controller.report import Reporter
from ingress_controller.table import Cluster, build_routing

log = logging.getLogger("ingress_controller")

FOLDER = Path("/tmp/nginx")  # noqa: S108 - the pod's own emptyDir, the only place it may write
# Changes that come together make one table.
SETTLE_SECONDS = 0.1
# How often nginx hears from the controller when nothing changes; its health probe waits for 60 s.
HEARTBEAT_SECONDS = 10
# The pod's grace period is longer.
DRAIN_SECONDS = 25


class Controller:
    """Keeps nginx's routing table in step with the cluster."""

    def __init__(self, api: Api, nginx: Nginx) -> None:
        self._nginx = nginx
        self._wake = threading.Event()
        self._stopping = False
        self._table: str | None = None
        self._reporter = Reporter(api)
        wake = self._wake.set
        self._ingresses = Collection(api, "/apis/networking.k8s.io/v1/ingresses", wake)
        self._services = Collection(api, "/api/v1/services", wake)
        self._endpoints = Collection(api, "/api/v1/endpoints", wake)
        # Of all Secrets only these are ever read.
        self._secrets = Collection(api, "/api/v1/secrets", wake, "fieldSelector=type%3Dkubernetes.io/tls")

    def run(self) -> None:
        """Serve until `stop` or until nginx ends.

        Raises:
            NginxError: nginx could not be started, or ended.
        """
        followers: list[Collection | Reporter] = [*self._collections(), self._reporter]
        try:
            self._nginx.start()
            for follower in followers:
                follower.start()
            self._serve()
        finally:
            for follower in followers:
                follower.stop()
            self._nginx.stop(DRAIN_SECONDS)

    def stop(self) -> None:
        """Make `run` return after the requests under way. Safe in a signal handler."""
        self._stopping = True
        self._wake.set()

    def _serve(self) -> None:
        while not self._stopping:
            self._wake.wait(HEARTBEAT_SECONDS)
            time.sleep(SETTLE_SECONDS)
            self._wake.clear()
            if (status := self._nginx.exit_status()) is not None:
                raise NginxError(f"nginx ended with status {status}")
            self._refresh()

    def _refresh(self) -> None:
        try:
            # A table made of half the cluster would drop routes.
            if all(collection.synced.is_set() for collection in self._collections()):
                self._hand_over()
            self._nginx.tell_alive()
        except NginxError as error:
            log.error("%s; next try within %s s", error, HEARTBEAT_SECONDS)  # noqa: TRY400 - the message says it all

    def _hand_over(self) -> None:
        cluster = Cluster(*(collection.objects() for collection in self._collections()))
        routing = build_routing(cluster, certificate_problem)
        self._reporter.report(routing)
        if routing.table != self._table:
            self._nginx.take(routing.table)
            self._table = routing.table
            log.info("new routing table taken: %d Ingresses, %d bytes", len(routing.served), len(routing.table))

    def _collections(self) -> tuple[Collection, ...]:
        return self._ingresses, self._services, self._endpoints, self._secrets


def main() -> int:
    """Run the controller until SIGTERM or SIGINT; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    controller = Controller(Api.in_cluster(), Nginx(FOLDER, Ports()))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: controller.stop())
    try:
        controller.run()
    except NginxError as error:
        log.critical("%s; the pod restarts", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
