"""Run as CoreDNS would be: `python -m cluster_dns -conf /etc/coredns/Corefile`."""

import argparse
import asyncio
import logging
import re
import signal
from pathlib import Path
from typing import Never

import dns.exception
import dns.resolver

from cluster_dns.kube import Api, Collection
from cluster_dns.server import Resolver, dns_server, probe_server
from cluster_dns.zone import build_zone

log = logging.getLogger("cluster_dns")

EVERYWHERE = "0.0.0.0"  # noqa: S104 - in a pod of its own
DNS_PORT, HEALTH_PORT, READY_PORT = 53, 8080, 8181
# Changes that come together make one zone.
SETTLE_SECONDS = 0.1
# Answers go on this long after SIGTERM, until no kube-proxy sends queries here any more.
LAME_DUCK_SECONDS = 5


def cluster_domain(corefile: str) -> str:
    """Return the domain that a Corefile's `kubernetes` plugin serves."""
    match = re.search(r"^\s*kubernetes\s+([\w.-]+)", corefile, re.MULTILINE)
    return match[1] if match else "cluster.local"


def upstream_servers() -> list[tuple[str, int]]:
    """Return the name servers of /etc/resolv.conf, possibly none."""
    try:
        return [(str(server), DNS_PORT) for server in dns.resolver.Resolver().nameservers]
    except dns.exception.DNSException as error:
        log.warning("no upstream name server: %s; names outside the cluster will fail", error)
        return []


class ClusterZone:
    """Keeps a resolver's zone in step with the cluster's Services and Endpoints."""

    def __init__(self, api: Api, domain: str, resolver: Resolver) -> None:
        loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._domain = domain
        self._resolver = resolver
        self._built = False
        self._services, self._endpoints = self._collections = [
            Collection(api, path, lambda: loop.call_soon_threadsafe(self._changed.set))
            for path in ("/api/v1/services", "/api/v1/endpoints")
        ]

    def ready(self) -> bool:
        """Tell whether the zone holds the whole cluster."""
        return self._built

    async def keep(self) -> Never:
        """Follow the cluster and rebuild the zone after changes."""
        for collection in self._collections:
            collection.start()
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._changed.clear()
            complete = all(collection.synced.is_set() for collection in self._collections)
            services, endpoints = self._services.objects(), self._endpoints.objects()
            self._resolver.zone = await asyncio.to_thread(build_zone, self._domain, services, endpoints)
            self._built = self._built or complete


async def run(domain: str) -> None:
    """Serve the cluster's names until SIGTERM."""
    resolver = Resolver(build_zone(domain, [], []), upstream_servers())
    cluster = ClusterZone(Api.in_cluster(), domain, resolver)
    async with (
        dns_server(resolver, EVERYWHERE, DNS_PORT),
        probe_server(EVERYWHERE, HEALTH_PORT, lambda: True),
        probe_server(EVERYWHERE, READY_PORT, cluster.ready),
    ):
        log.info("serving %s, upstream servers: %s", domain, resolver.upstreams or "none")
        await _until_stopped(cluster)


async def _until_stopped(cluster: ClusterZone) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    keeping = asyncio.create_task(cluster.keep())
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait({keeping, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if keeping.done():
        keeping.result()  # raises what ended it
    await asyncio.sleep(LAME_DUCK_SECONDS)


def main() -> None:
    """Read the arguments that kubeadm's Deployment passes, and serve."""
    parser = argparse.ArgumentParser(prog="cluster_dns", description=__doc__)
    parser.add_argument("-conf", type=Path, required=True, help="CoreDNS's Corefile, read for the cluster's domain")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(run(cluster_domain(arguments.conf.read_text())))


if __name__ == "__main__":
    main()
