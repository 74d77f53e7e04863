"""HTTP answers that come in time as a whole.

The time-out of a socket starts again with each byte, so that a server which sends one header a second keeps a thread
for hours. Here it is the time-out of the whole answer: status line, headers and body.
"""

import http.client
import io
import socket
import time

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

_UNLIMITED_SECONDS = 86_400.0


class _UntilTimeout(io.RawIOBase):
    """What a socket receives until its time-out has passed since the answer was first waited for."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._ends = time.monotonic() + (_UNLIMITED_SECONDS if timeout is None else timeout)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]  # any buffer is one
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None) -> None:
        super().__init__(sock, debuglevel, method)
        self.fp.close()
        self.fp = io.BufferedReader(_UntilTimeout(sock))


class _Connection(HTTPConnection):
    response_class = _Response


class _TLSConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


_POOLS = {"http": _Pool, "https": _TLSPool}


class BoundedAdapter(HTTPAdapter):
    """Connects as requests does, and waits for an answer no longer than the time-out for reading, whatever comes.

    `server_name` is what the server's certificate is for, where that is not the name in the URL.
    """

    def __init__(self, server_name: str | None = None, *, pool_maxsize: int, max_retries: int) -> None:
        self._names = {"server_hostname": server_name, "assert_hostname": server_name} if server_name else {}
        super().__init__(pool_maxsize=pool_maxsize, max_retries=max_retries)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: object) -> None:
        """Connections; names and defaults are those of requests."""
        super().init_poolmanager(connections, maxsize, block, **self._names, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **more: object) -> ProxyManager:
        """Connections by way of a proxy."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **self._names, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager
