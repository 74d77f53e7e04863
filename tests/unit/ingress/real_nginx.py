"""A real nginx on loopback and real servers for it to proxy to."""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ingress_controller.nginx import SEARCH_PATH, Nginx, Ports

LUA_MODULE = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")
MISSING = [
    name
    for name, there in {
        "nginx": shutil.which("nginx", path=SEARCH_PATH),
        "libnginx-mod-http-lua": LUA_MODULE.exists(),
        "openssl": shutil.which("openssl"),
    }.items()
    if not there
]
NEEDS_NGINX = [
    pytest.mark.process,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (Debian packages, with lua-cjson)"),
]
WAIT_SECONDS = 20


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


class Pod(ThreadingHTTPServer):
    """A web server as a pod runs one. Each says its own name and what it was asked."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), PodHandler)
        self.name = name
        self.served = 0
        self.hold = threading.Event()  # requests for /hold wait for it
        self.held = threading.Semaphore(0)
        self.cuts_connections = False
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> list[Any]:
        return ["127.0.0.1", self.server_port]

    def stop(self) -> None:
        self.hold.set()
        self.shutdown()
        self.server_close()


class PodHandler(BaseHTTPRequestHandler):
    server: Pod
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.served += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.cuts_connections:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if self.path == "/hold":
            self.server.held.release()
            self.server.hold.wait(WAIT_SECONDS)
        body = json.dumps({"pod": self.server.name, "path": self.path, "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name http.server asks for


class Proxy:
    """An nginx and how to ask it."""

    def __init__(self, folder: Path) -> None:
        self.http_port, self.https_port, self.health_port = free_ports(3)
        ports = Ports(*(f"127.0.0.1:{port}" for port in (self.http_port, self.https_port, self.health_port)))
        self.nginx = Nginx(folder, ports)

    def serve(
        self, pods: list[Pod], method: str = "round_robin", settings: dict[str, Any] | None = None, **changes: Any
    ) -> None:
        route = {"ingress": "shop/web", "backend": "web", "method": method, **(settings or {})}
        hosts = {"a.test": {"exact": {}, "prefixes": [["", route]]}}
        backends = {"web": [pod.address for pod in pods]}
        self.nginx.take(json.dumps({"hosts": hosts, "backends": backends, "certificates": {}, **changes}))

    def connect(self, client: str = "127.0.0.1") -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=WAIT_SECONDS, source_address=(client, 0))

    def ask(
        self, path: str = "/", host: str = "a.test", method: str = "GET", client: str = "127.0.0.1", **headers: str
    ) -> tuple[int, Any]:
        connection = self.connect(client)
        try:
            return ask(connection, path, host, method, **headers)
        finally:
            connection.close()

    def health(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.health_port, timeout=WAIT_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def certificate_subject(self, host: str) -> str:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.https_port), timeout=WAIT_SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert(binary_form=True)
        assert certificate
        shown = ["openssl", "x509", "-inform", "der", "-noout", "-subject"]
        return subprocess.run(shown, input=certificate, capture_output=True, check=True).stdout.decode().strip()


def ask(
    connection: http.client.HTTPConnection, path: str = "/", host: str = "a.test", method: str = "GET", **headers: str
) -> tuple[int, Any]:
    sent = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.request(method, path, headers=sent)
    response = connection.getresponse()
    body = response.read()
    return response.status, json.loads(body) if response.status == 200 else body
