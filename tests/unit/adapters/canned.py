"""Servers on loopback that answer as they are told."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from aiohttp import web


@dataclass
class Canned:
    """A Prometheus that gives one answer to everything, or what `answer` makes of a query."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    answer: Callable[[str], Any] | None = None
    send: Callable[[BaseHTTPRequestHandler], None] | None = None
    queries: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    clients: list[int] = field(default_factory=list)
    """The client's port of each query: one for each connection."""

    def vector(self, *series: tuple[dict[str, str], str], at: float, **more: Any) -> None:
        self.json(vector(*series, at=at, **more))

    def json(self, answer: Any) -> None:
        self.body = json.dumps(answer).encode()


def vector(*series: tuple[dict[str, str], str], at: float, **more: Any) -> dict[str, Any]:
    """A successful answer as Prometheus writes it."""
    result = [{"metric": labels, "value": [at, value]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}, **more}


@dataclass
class Asked:
    """A request as the API server saw it."""

    verb: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Refusal:
    """A Status object as the API server sends it."""

    code: int
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        body = {"kind": "Status", "message": self.message, "code": self.code}
        return web.json_response(body, status=self.code, headers=self.headers)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class ApiServer:
    """A Kubernetes API that answers with what `respond` returns: JSON, a Refusal, or a Handler's own response."""

    url: str = ""
    respond: Callable[[Asked], Any] = lambda _asked: {}
    asked: list[Asked] = field(default_factory=list)

    def replies(self, *answers: Any) -> None:
        """One answer after the other; the last one again and again."""
        left = list(answers)
        self.respond = lambda _asked: left.pop(0) if len(left) > 1 else left[0]
