"""An API server on loopback that does as it is told."""

import json
import queue
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ingress_controller.kube import Api

WAIT_SECONDS = 20


class FakeServer(ThreadingHTTPServer):
    """Keeps what it is sent; lists what it holds; streams the watch events it is given, and ends the stream at None."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FakeHandler)
        self.sent: queue.Queue[tuple[str, str, Any]] = queue.Queue()
        # By the collection's path.
        self.items: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.events: dict[str, queue.Queue[dict[str, Any] | None]] = defaultdict(queue.Queue)
        self.refusals = 0  # how many of the next requests are refused
        self.refused: set[str] = set()  # collections that are not listed

    @property
    def api(self) -> Api:
        return Api(f"http://127.0.0.1:{self.server_port}")

    def end(self) -> None:
        """Let the open watches end, then stop."""
        for events in self.events.values():
            events.put(None)
        self.shutdown()


class FakeHandler(BaseHTTPRequestHandler):
    server: FakeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _write(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.refusals:
            self.server.refusals -= 1
            self._answer(503, {"message": "not now"})
        else:
            self.server.sent.put((self.command, self.path, body))
            self._answer(200, {})

    do_PATCH = do_POST = _write  # noqa: N815 - the names http.server asks for

    def do_GET(self) -> None:
        collection, _, query = self.path.partition("?")
        if "watch=1" in query:
            self._stream(self.server.events[collection])
        elif self.server.refusals or collection in self.server.refused:
            self.server.refusals = max(self.server.refusals - 1, 0)
            self._answer(503, {"message": "not now"})
        else:
            self._answer(200, {"metadata": {"resourceVersion": "7"}, "items": self.server.items[collection]})

    def _stream(self, events: queue.Queue[dict[str, Any] | None]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while event := events.get(timeout=WAIT_SECONDS):
            line = json.dumps(event).encode() + b"\n"
            # Cut in two on purpose: a line need not come in one chunk.
            for part in (line[:10], line[10:]):
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")
