"""DNS over real sockets on loopback, with a real upstream server beside it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import cast

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest

from cluster_dns import server
from cluster_dns.server import Resolver, dns_server, probe_server
from cluster_dns.zone import build_zone

LOOPBACK = "127.0.0.1"
PODS = [{"ip": f"10.244.{number // 250}.{number % 250 + 1}"} for number in range(200)]
SERVICES = [
    {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"clusterIP": "10.96.0.7"}},
    {"metadata": {"name": "many", "namespace": "shop"}, "spec": {"clusterIP": "None"}},
    {
        "metadata": {"name": "mail", "namespace": "shop"},
        "spec": {"type": "ExternalName", "externalName": "mail.example.org"},
    },
]
ENDPOINTS = [{"metadata": {"name": "many", "namespace": "shop"}, "subsets": [{"addresses": PODS}]}]
ZONE = build_zone("cluster.local", SERVICES, ENDPOINTS)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])


class Upstream(asyncio.DatagramProtocol):
    """Knows one address for every name of example.org, and nothing else."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = dns.message.make_response(dns.message.from_wire(data))
        name = response.question[0].name
        if name.to_text().endswith("example.org."):
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1"))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(), addr)


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[str, int]]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Upstream, local_addr=(LOOPBACK, 0))
    yield transport.get_extra_info("sockname")
    transport.close()


@pytest.fixture
async def silent() -> AsyncIterator[tuple[str, int]]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=(LOOPBACK, 0)
    )
    yield transport.get_extra_info("sockname")
    transport.close()


async def ask(upstreams: list[tuple[str, int]], name: str, *, tcp: bool = False) -> dns.message.Message:
    port = free_port()
    query = dns.message.make_query(name, "A")
    async with dns_server(Resolver(ZONE, upstreams), LOOPBACK, port):
        if tcp:
            return await dns.asyncquery.tcp(query, LOOPBACK, port=port, timeout=5)
        return await dns.asyncquery.udp(query, LOOPBACK, port=port, timeout=5)


def addresses(message: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in message.answer for record in rrset]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_a_service_is_found_over(tcp: bool) -> None:
    assert addresses(await ask([], "web.shop.svc.cluster.local", tcp=tcp)) == ["10.96.0.7"]


async def test_an_answer_too_long_for_udp_is_marked_truncated_and_whole_over_tcp() -> None:
    short = await ask([], "many.shop.svc.cluster.local")
    assert short.flags & dns.flags.TC
    whole = await ask([], "many.shop.svc.cluster.local", tcp=True)
    assert len(addresses(whole)) == len(PODS)


async def test_a_name_outside_comes_from_the_upstream_server(upstream: tuple[str, int]) -> None:
    assert addresses(await ask([upstream], "www.example.org")) == ["192.0.2.1"]
    assert (await ask([upstream], "nowhere.test")).rcode() == dns.rcode.NXDOMAIN


async def test_a_silent_upstream_server_is_passed_over(
    silent: tuple[str, int], upstream: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "UPSTREAM_SECONDS", 0.1)
    assert addresses(await ask([silent, upstream], "www.example.org")) == ["192.0.2.1"]


async def test_without_an_upstream_that_answers_a_name_outside_fails_instead_of_hanging(
    silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "UPSTREAM_SECONDS", 0.1)
    assert (await ask([], "www.example.org")).rcode() == dns.rcode.SERVFAIL
    assert (await ask([silent], "www.example.org")).rcode() == dns.rcode.SERVFAIL


async def test_an_alias_out_of_the_cluster_comes_with_its_address(upstream: tuple[str, int]) -> None:
    assert addresses(await ask([upstream], "mail.shop.svc.cluster.local")) == ["mail.example.org.", "192.0.2.1"]


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="not-dns"),
        pytest.param(dns.message.make_response(dns.message.make_query("a.test", "A")).to_wire(), id="a-response"),
    ],
)
async def test_what_is_no_query_gets_no_answer(wire: bytes) -> None:
    assert await Resolver(ZONE, []).resolve(wire, over_tcp=False) is None


async def test_a_query_of_no_question_is_a_format_error() -> None:
    wire = await Resolver(ZONE, []).resolve(dns.message.Message().to_wire(), over_tcp=False)
    assert wire is not None
    assert dns.message.from_wire(wire).rcode() == dns.rcode.FORMERR


async def test_an_update_is_not_implemented() -> None:
    update = dns.message.make_query("web.shop.svc.cluster.local", "SOA")
    update.set_opcode(dns.opcode.UPDATE)
    wire = await Resolver(ZONE, []).resolve(update.to_wire(), over_tcp=False)
    assert wire is not None
    assert dns.message.from_wire(wire).rcode() == dns.rcode.NOTIMP


@pytest.mark.parametrize(("healthy", "status"), [(True, b"200"), (False, b"503")], ids=["healthy", "not-yet"])
async def test_a_probe_is_told_how_it_is(healthy: bool, status: bytes) -> None:
    port = free_port()
    async with probe_server(LOOPBACK, port, lambda: healthy):
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.read()).split()[1] == status
        writer.close()
