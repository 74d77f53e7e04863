"""The cluster's DNS zone: Services and Endpoints in, answers out. No I/O here.

Names follow the Kubernetes DNS specification 1.1.0:
`SERVICE.NAMESPACE.svc.ZONE` for a Service (its cluster IP; its ready pods when it is headless),
`HOSTNAME.SERVICE.NAMESPACE.svc.ZONE` for a pod of a headless one, `_PORT._PROTOCOL.` before them for SRV.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dns.flags
import dns.name
import dns.rcode
import dns.reversename
import dns.rrset
from dns.exception import DNSException
from dns.message import Message, make_response
from dns.name import Name
from dns.rdatatype import CNAME, RdataType
from dns.rrset import RRset

log = logging.getLogger(__name__)

# Short, so that a client notices a moved pod; our own answers cost little.
TTL_SECONDS = 5
MAX_UDP_BYTES = 1232

Object = Mapping[str, Any]
Record = tuple[Name, str, str]


@dataclass(frozen=True)
class Zone:
    """All records of the cluster at one moment."""

    origin: Name
    records: Mapping[Name, Mapping[RdataType, RRset]]
    # Every name of the cluster that exists: those that only have names below them, too, are empty but not NXDOMAIN.
    names: frozenset[Name]

    def answer(self, query: Message) -> Message | None:
        """Answer a query of one question, or return None when its name is not the cluster's."""
        name, kind = query.question[0].name, query.question[0].rdtype
        known = self.records.get(name)
        if known is None and not name.is_subdomain(self.origin):
            return None
        response = make_response(query, recursion_available=True, our_payload=MAX_UDP_BYTES)
        response.flags |= dns.flags.AA
        response.answer = self._find(known or {}, kind)
        if not response.answer:
            response.authority.append(self.records[self.origin][RdataType.SOA])
            if name not in self.names:
                response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    def _find(self, known: Mapping[RdataType, RRset], kind: RdataType) -> list[RRset]:
        if kind in known:
            return [known[kind]]
        if CNAME not in known:
            return []
        alias = known[CNAME]
        target = self.records.get(alias[0].target, {})
        return [alias, target[kind]] if kind in target else [alias]


def build_zone(domain: str, services: Iterable[Object], endpoints: Iterable[Object]) -> Zone:
    """Make the zone of a cluster.

    Args:
        domain: the cluster's domain, such as `cluster.local`.
        services: core/v1 Service objects as JSON.
        endpoints: core/v1 Endpoints objects as JSON, which have the name and namespace of their Service.
    """
    origin = dns.name.from_text(domain)
    by_service = {_identity(item): item for item in endpoints}
    records: dict[Name, dict[RdataType, RRset]] = defaultdict(dict)
    _add(records, _apex_records(origin))
    for service in services:
        identity = _identity(service)
        base = Name((identity[1].encode(), identity[0].encode(), b"svc", *origin.labels))
        try:
            _add(records, _service_records(service, by_service.get(identity, {}), base))
        except (DNSException, LookupError, ValueError) as error:
            log.warning("Service %s/%s has no name: %s", *identity, error)
    return Zone(origin, records, _with_ancestors(records, origin))


def _add(records: dict[Name, dict[RdataType, RRset]], texts: Iterable[Record]) -> None:
    """Add records to those of their name and type; a name without any record is added too."""
    for name, kind, text in list(texts):
        of_name = records[name]
        if not kind:
            continue
        rrset = dns.rrset.from_text(name, TTL_SECONDS, "IN", kind, text)
        of_name.setdefault(rrset.rdtype, rrset).add(rrset[0], TTL_SECONDS)


def _with_ancestors(names: Iterable[Name], origin: Name) -> frozenset[Name]:
    existing = {origin}
    for name in names:
        ancestor = name
        while ancestor not in existing and ancestor.is_subdomain(origin):
            existing.add(ancestor)
            ancestor = ancestor.parent()
    return frozenset(existing)


def _apex_records(origin: Name) -> Iterator[Record]:
    server = Name((b"ns", b"dns", *origin.labels))
    yield origin, "NS", str(server)
    # The last number is how long "no such name" may be remembered (RFC 2308).
    yield origin, "SOA", f"{server} hostmaster.{origin} 1 7200 1800 86400 {TTL_SECONDS}"


def _service_records(service: Object, endpoints: Object, base: Name) -> Iterator[Record]:
    spec = service.get("spec") or {}
    yield base, "", ""
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    if spec.get("type") == "ExternalName":
        yield base, "CNAME", dns.name.from_text(spec["externalName"]).to_text()
    elif addresses == ["None"]:
        yield from _headless_records(endpoints, base)
    else:
        for address in filter(None, addresses):
            yield from _address_records(base, address)
        for port in spec.get("ports") or []:
            yield from _port_records(base, base, port)


def _headless_records(endpoints: Object, base: Name) -> Iterator[Record]:
    for subset in endpoints.get("subsets") or []:
        for address in subset.get("addresses") or []:
            address_ip = address["ip"]
            hostname = address.get("hostname") or address_ip.replace(".", "-").replace(":", "-")
            pod = Name((hostname.encode(), *base.labels))
            yield base, _address_kind(address_ip), address_ip
            yield from _address_records(pod, address_ip)
            for port in subset.get("ports") or []:
                yield from _port_records(base, pod, port)


def _address_records(name: Name, address: str) -> Iterator[Record]:
    yield name, _address_kind(address), address
    yield dns.reversename.from_address(address), "PTR", name.to_text()


def _port_records(base: Name, target: Name, port: Object) -> Iterator[Record]:
    if port.get("name"):
        labels = (f"_{port['name']}".encode(), f"_{port.get('protocol', 'TCP')}".lower().encode())
        yield Name((*labels, *base.labels)), "SRV", f"0 100 {port['port']} {target}"


def _address_kind(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def _identity(item: Object) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]
