"""Gunicorn's threaded worker with six additions.

It times the wait for a thread, it has an express lane for the cluster's own requests, it marks requests for refusal
when too many wait, it gives threads only to requests whose head is there, it cuts off clients that hold a thread or a
connection without moving on, and it leaves politely.
"""

import contextlib
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from sample_app import drain
from sample_app.clients import Clients, received, start_of_request
from sample_app.load import Load

# Seconds that the request handled by this thread has waited for it.
queue_seconds: ContextVar[float] = ContextVar("queue_seconds", default=0.0)
# Whether the request handled by this thread is one too many: to be answered 503 before any work is done for it.
refused: ContextVar[bool] = ContextVar("refused", default=False)

_EXPRESS = (b"GET /healthz", b"GET /readyz", b"GET /metrics")
# A probe's request is a few hundred bytes; its head comes in one piece.
_LONGEST_HEAD = 4096
_END_OF_HEAD = b"\r\n\r\n"
# Each answers at once; several threads, so that a slow scrape holds up no probe.
_EXPRESS_THREADS = 3
# For a request of the express lane from its first byte to the last of its answer: probes give up after 2 s.
EXPRESS_SECONDS = 1.5
# How long a thread that computes keeps the GIL from the others (Python's default: 5 ms). Each system call of the main
# loop gives the GIL away and waits for it again behind every thread that computes, so that in overload
# refusals would come late.
SWITCH_SECONDS = 0.001
# For the head of a request, from its first byte to its last.
HEAD_SECONDS = 10.0
# For everything after: body, work and answer. Longer than any route works; proxies give up at 60 s.
REST_SECONDS = 60.0
# For a client that has its last answer to close its side, and what it may still send meanwhile. Gunicorn's own values,
# but it waits in the main loop: fifteen clients that stay would stop a worker until the server kills it.
LEAVE_SECONDS = 2.0
_MOST_DRAINED = 65536


def hand_over_with_data(server: Arbiter) -> None:
    """Let the kernel keep new connections until their request is there.

    No thread then waits for a silent client, and a worker can look at the request before it queues it.
    """
    for listener in server.LISTENERS:
        if listener.sock.family != socket.AF_UNIX:
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)


class Worker(ThreadWorker):
    """Serves requests by a pool of threads; those that find all threads busy wait in the pool's queue.

    The application cannot see that wait, and it is what grows first when a pod has too much to do: without it the
    latency metric stays low while clients wait for seconds. And in that queue probes and scrapes would time out:
    the cluster would restart a pod for being busy, and the autoscaler would go blind when it is needed.
    """

    def init_process(self) -> None:
        """Called in the new process; serves until the worker stops."""
        self._express = ThreadPoolExecutor(max_workers=_EXPRESS_THREADS, thread_name_prefix="express")
        self._refusals = ThreadPoolExecutor(max_workers=1, thread_name_prefix="refusals")
        self._handled: set[Any] = set()
        sys.setswitchinterval(SWITCH_SECONDS)
        super().init_process()

    def load_wsgi(self) -> None:
        """Called before the first request, with the application loaded before the fork."""
        super().load_wsgi()
        application: Any = self.wsgi  # a Flask
        self._load = Load(application.extensions["metrics"], application.config["SERVING"], self.cfg.threads)

    def run(self) -> None:
        """Called when all is loaded; serves until the worker stops."""
        self._sending = Clients(self.poller, HEAD_SECONDS, self._drop)
        self._leaving = Clients(self.poller, LEAVE_SECONDS, self._drop)
        super().run()

    def enqueue_req(self, conn: Any) -> None:
        """Called when something of a request is there."""
        start = start_of_request(conn.sock, _LONGEST_HEAD)
        if _is_awaited(conn, start):
            self._await_head(conn, len(start or b""))
            return
        if self._sending.forget(conn):
            conn.seen = None
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        if start == b"" and not _read_ahead(conn):
            self._drop(conn)  # the client has closed it: nothing for a thread to do
        else:
            self._queue(conn, start)

    def _await_head(self, conn: Any, seen: int) -> None:
        """Look again when more than what has been `seen` is there; no thread waits for a slow client."""
        if seen == getattr(conn, "seen", None):  # the client has closed its side
            self._sending.forget(conn)
            self._drop(conn)
            return
        conn.seen = seen
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen + 1)
        self._sending.wait(conn, self.enqueue_req)

    def _queue(self, conn: Any, start: bytes | None) -> None:
        """The wait for a thread begins."""
        conn.queued_at = time.monotonic()
        conn.express = _is_express(start)
        if conn.express:
            pool, work = self._express, self.handle
        elif self._load.full():
            pool, work = self._refusals, self._refuse
        else:
            self._load.arrive()
            pool, work = self.tpool, self._serve
        handled = pool.submit(work, conn)
        handled.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _serve(self, conn: Any) -> Any:
        refused.set(self._load.begin(time.monotonic() - conn.queued_at))
        try:
            return self.handle(conn)
        finally:
            self._load.end()

    def _refuse(self, conn: Any) -> Any:
        refused.set(True)
        return self.handle(conn)

    def handle(self, conn: Any) -> Any:
        """Called in a thread of a pool: the wait is over."""
        queue_seconds.set(time.monotonic() - conn.queued_at)
        conn.deadline = time.monotonic() + (EXPRESS_SECONDS if conn.express else HEAD_SECONDS)
        self._handled.add(conn)
        try:
            return super().handle(conn)
        finally:
            self._handled.discard(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Called with the parsed request."""
        conn.deadline = time.monotonic() + (EXPRESS_SECONDS if conn.express else REST_SECONDS)
        if drain.draining() or refused.get():
            req.force_close()  # answered with "Connection: close", so that no client sends another one on it
        return super().handle_request(req, conn)

    def finish_request(self, conn: Any, done: Any) -> None:
        """Called in the main loop when a thread is through with a connection."""
        if done.cancelled() or done.exception() or done.result():
            super().finish_request(conn, done)
        else:
            self._leave(conn)

    def _leave(self, conn: Any) -> None:
        """Close our side, and leave the client time to read the answer: closing at once could destroy it."""
        conn.drained = 0
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:
            self._drop(conn)
        else:
            self._leaving.wait(conn, self._drain)

    def _drain(self, conn: Any) -> None:
        data = received(conn.sock, _LONGEST_HEAD)
        conn.drained += len(data)
        if data and conn.drained < _MOST_DRAINED:
            self._leaving.wait(conn, self._drain)
        else:
            self._leaving.forget(conn)
            self._drop(conn)

    def _make_room(self) -> None:
        """Close the idle connection that means least to its client, or idle ones would keep probes out."""
        if not (self._leaving.give_up_oldest() or self._sending.give_up_oldest()) and self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self.poller.unregister(conn.sock)
            self._drop(conn)

    def _drop(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def notify(self) -> None:
        """Called by the main loop before it looks at events, at least once a second."""
        super().notify()
        self._sending.give_up_late()
        self._leaving.give_up_late()
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        now = time.monotonic()
        for conn in self._handled.copy():
            if now > conn.deadline:
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RDWR)  # the thread that reads or writes comes free at once

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Called with False, too, when the worker stops.

        Gunicorn then leaves the port open until its last request is done: clients that connect meanwhile hang and
        are cut off. Serving those that wait already and closing the port lets others try elsewhere at once.
        """
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                self._accept_waiting(listener)
                listener.close()

    def _accept_waiting(self, listener: Any) -> None:
        known = -1
        while known < self.nr_conns < self.worker_connections:  # accept() is silent when nobody waits
            known = self.nr_conns
            self.accept(listener)


def _read_ahead(conn: Any) -> bool:
    """Whether a further request came with the one before."""
    return conn.parser is not None and bool(conn.parser.unreader.buf.getvalue())


def _is_awaited(conn: Any, start: bytes | None) -> bool:
    """Whether more of the request's head has to come before a thread can do anything.

    A head that is longer than what is looked at is read by a thread. So is all that comes from a proxy on this machine
    through a Unix socket, where the kernel does not wait for more than there is.
    """
    if conn.sock.family == socket.AF_UNIX or _read_ahead(conn) or start == b"":
        return False
    return start is None or (len(start) < _LONGEST_HEAD and _END_OF_HEAD not in start)


def _is_express(start: bytes | None) -> bool:
    """Whether it is one of the cluster's own requests, and all there: a half-sent one would hold the lane's threads."""
    return start is not None and start.startswith(_EXPRESS) and _END_OF_HEAD in start
