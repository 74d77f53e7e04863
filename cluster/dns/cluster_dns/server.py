"""Ask and be asked: the zone over UDP and TCP, other names forwarded, probes over HTTP."""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
from dns.message import Message
from dns.rdatatype import CNAME

from cluster_dns.zone import MAX_UDP_BYTES, Zone

log = logging.getLogger(__name__)

UPSTREAM_SECONDS = 1.5
# All upstreams together answer, or fail, before glibc's own 5 s are over.
FORWARD_SECONDS = 4.0
TCP_IDLE_SECONDS = 10.0
# Queries in work at once; more are dropped, and a client asks again.
MAX_QUERIES = 1000
MAX_TCP_BYTES = 65535


class Resolver:
    """Answers from the zone it was last given, and asks upstream servers for the rest."""

    def __init__(self, zone: Zone, upstreams: Sequence[tuple[str, int]]) -> None:
        """Take the first zone and the upstream servers' addresses and ports, which may be none."""
        self.zone = zone
        self.upstreams = upstreams

    async def resolve(self, wire: bytes, over_tcp: bool) -> bytes | None:
        """Answer one query in wire format; None when it deserves no answer (RFC 1035, section 4)."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if query.flags & dns.flags.QR:
            return None
        response = await self._respond(query, over_tcp)
        limit = MAX_TCP_BYTES if over_tcp else min(max(query.payload, 512), MAX_UDP_BYTES)
        return response.to_wire(max_size=limit, prefer_truncation=True)

    async def _respond(self, query: Message, over_tcp: bool) -> Message:
        if query.opcode() != dns.opcode.QUERY:
            return _refusal(query, dns.rcode.NOTIMP)
        if len(query.question) != 1:
            return _refusal(query, dns.rcode.FORMERR)
        response = self.zone.answer(query)
        if response is None:
            return await self._forward(query, over_tcp)
        await self._complete_alias(response, over_tcp)
        return response

    async def _complete_alias(self, response: Message, over_tcp: bool) -> None:
        """Follow an ExternalName out of the cluster: a stub resolver won't ask a second time."""
        kind, last = response.question[0].rdtype, response.answer[-1] if response.answer else None
        if last is None or last.rdtype != CNAME or kind == CNAME or last[0].target.is_subdomain(self.zone.origin):
            return
        found = await self._forward(dns.message.make_query(last[0].target, kind), over_tcp)
        response.answer += found.answer
        response.set_rcode(found.rcode())

    async def _forward(self, query: Message, over_tcp: bool) -> Message:
        try:
            async with asyncio.timeout(FORWARD_SECONDS):
                return await self._ask_upstreams(query, over_tcp)
        except TimeoutError:
            return _refusal(query, dns.rcode.SERVFAIL)

    async def _ask_upstreams(self, query: Message, over_tcp: bool) -> Message:
        ask = dns.asyncquery.tcp if over_tcp else dns.asyncquery.udp
        for address, port in self.upstreams:
            try:
                return await ask(query, address, timeout=UPSTREAM_SECONDS, port=port)
            except (dns.exception.DNSException, OSError, EOFError) as error:
                log.info("upstream %s did not answer for %s: %s", address, query.question[0].name, error)
        return _refusal(query, dns.rcode.SERVFAIL)


def _refusal(query: Message, code: dns.rcode.Rcode) -> Message:
    response = dns.message.make_response(query, recursion_available=True, our_payload=MAX_UDP_BYTES)
    response.set_rcode(code)
    return response


class UdpServer(asyncio.DatagramProtocol):
    """The resolver over UDP."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer by."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer in a task of its own, so that a slow upstream holds nobody up."""
        if len(self._tasks) < MAX_QUERIES:
            task = asyncio.get_running_loop().create_task(self._reply(data, addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reply(self, data: bytes, addr: tuple[str, int]) -> None:
        if answer := await self._resolver.resolve(data, over_tcp=False):
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def dns_server(resolver: Resolver, host: str, port: int) -> AsyncIterator[None]:
    """Serve DNS over UDP and TCP on one address while the context lasts.

    Raises:
        OSError: the address is in use or not allowed.
    """
    connections = asyncio.Semaphore(MAX_QUERIES)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with connections:
            try:
                await _converse(resolver, reader, writer)
            except (TimeoutError, EOFError, OSError):
                pass  # the client is gone or idle: nobody is left to tell
            finally:
                writer.close()

    loop = asyncio.get_running_loop()
    udp, _ = await loop.create_datagram_endpoint(lambda: UdpServer(resolver), local_addr=(host, port))
    try:
        async with await asyncio.start_server(converse, host, port):
            yield
    finally:
        udp.close()


async def _converse(resolver: Resolver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the queries of one TCP connection, each led by its length in two bytes (RFC 1035, section 4.2.2)."""
    while True:
        async with asyncio.timeout(TCP_IDLE_SECONDS):
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            wire = await reader.readexactly(length)
        answer = await resolver.resolve(wire, over_tcp=True)
        if answer is None:
            return
        writer.write(struct.pack("!H", len(answer)) + answer)
        async with asyncio.timeout(TCP_IDLE_SECONDS):
            await writer.drain()


@asynccontextmanager
async def probe_server(host: str, port: int, healthy: Callable[[], bool]) -> AsyncIterator[None]:
    """Answer every HTTP request with 200 or 503, from the loop that answers DNS: when one hangs, so does the other."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TCP_IDLE_SECONDS):
                await reader.readuntil(b"\r\n\r\n")
            status, body = ("200 OK", b"OK") if healthy() else ("503 Service Unavailable", b"not ready")
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
        except (TimeoutError, EOFError, OSError, asyncio.LimitOverrunError):
            pass  # not a probe, or one that went away
        finally:
            writer.close()

    async with await asyncio.start_server(reply, host, port):
        yield
