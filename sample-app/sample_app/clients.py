"""Clients that a worker waits for in its main loop, without a thread for each: slow senders, and those that stay."""

import socket
import time
from collections.abc import Callable
from selectors import EVENT_READ, BaseSelector
from typing import Any


class Clients:
    """Connections whose clients have so many seconds each to do what is expected of them; the oldest come first.

    give_up: called with a connection whose time is over, or that has to make room for another.
    """

    def __init__(self, poller: BaseSelector, seconds: float, give_up: Callable[[Any], None]) -> None:
        self._poller = poller
        self._seconds = seconds
        self._give_up = give_up
        self._until: dict[Any, float] = {}

    def wait(self, conn: Any, look: Callable[[Any], None]) -> None:
        """Call `look` once, when something has come or the client has closed. To wait again does not add time."""
        self._until.setdefault(conn, time.monotonic() + self._seconds)
        self._poller.register(conn.sock, EVENT_READ, lambda _sock: self._look(conn, look))

    def forget(self, conn: Any) -> bool:
        """Whether the connection was waited for; now it is not."""
        return self._until.pop(conn, None) is not None

    def give_up_late(self) -> None:
        """Give up all whose time is over."""
        now = time.monotonic()
        for conn in [conn for conn, until in self._until.items() if until < now]:
            self._drop(conn)

    def give_up_oldest(self) -> bool:
        """Give up the one that has been waited for longest; False when there is none."""
        for conn in self._until:
            self._drop(conn)
            return True
        return False

    def _look(self, conn: Any, look: Callable[[Any], None]) -> None:
        self._poller.unregister(conn.sock)
        look(conn)

    def _drop(self, conn: Any) -> None:
        del self._until[conn]
        self._poller.unregister(conn.sock)
        self._give_up(conn)


def start_of_request(connection: socket.socket, size: int) -> bytes | None:
    """What is there, and stays there to be read; empty at the end of the connection, None when nothing is there yet."""
    try:
        return connection.recv(size, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def received(connection: socket.socket, size: int) -> bytes:
    """What is there; empty at the end of the connection."""
    try:
        return connection.recv(size, socket.MSG_DONTWAIT)
    except OSError:
        return b""
