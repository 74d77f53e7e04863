"""What need not be sent, and what need not reach the application."""

import socket

from benchmarks.app.plan import Plan
from benchmarks.app.results import Comparison, Results
from benchmarks.app.servers import ASK_SECONDS, EDGE, Lab, Server, cached_by
from benchmarks.app.wrk import wrk

REQUESTS = 1000
_AT_ONCE = 50
_ROUTE = "/products/<int:product_id>"
_PAGE = "/products?limit=100"


def not_modified(lab: Lab, plan: Plan) -> Results:
    """Bytes on the wire, head and body, of an answer that the client has already."""
    del plan
    with lab.app(cached_by("Memory")) as app:
        tag = app.ask(_PAGE)[0].headers["ETag"]
        whole, same = received(app, _PAGE), received(app, _PAGE, f"If-None-Match: {tag}\r\n")
    return Results(
        [Comparison("delivery", "page of 100 products, asked for again", "bytes", whole, same, ("200", "304"), False)]
    )


def edge_cache(lab: Lab, plan: Plan) -> Results:
    """An nginx that obeys the answers' Cache-Control, before an application that has no cache of its own."""
    labels = ("direct", "through the edge")
    with lab.app(cached_by("None")) as app, lab.nginx(EDGE, [app]) as edge:
        direct, through = (_reached(app, server, plan) for server in (app, edge))
    unit = f"of {REQUESTS:,} requests reach the app"
    return Results([Comparison("delivery", "edge cache", unit, direct, through, labels, False)])


def _reached(app: Server, asked: Server, plan: Plan) -> float:
    """How many of REQUESTS for one page, sent to `asked`, come to the application."""
    before = app.metric("http_requests_total", route=_ROUTE)
    wrk(asked.url("/products/17"), plan.patience, connections=_AT_ONCE, answers=REQUESTS - _AT_ONCE)
    app.settle()
    return app.metric("http_requests_total", route=_ROUTE) - before


def received(server: Server, path: str, headers: str = "") -> int:
    """Bytes of a whole answer as they come over the connection."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n{headers}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), ASK_SECONDS) as connection:
        connection.sendall(request.encode())
        return sum(map(len, iter(lambda: connection.recv(65536), b"")))
