"""What the database costs each request: queries and seconds, as metrics and, with DEMO=1, in Server-Timing."""

import time
from typing import Any

from flask import Flask, Response, g, has_request_context, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy import Engine, event

QUERY_BUCKETS_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)
QUERIES_BUCKETS = (1, 2, 3, 5, 10, 20, 50, 100)


class DatabaseMetrics:
    """What the application asks of its database. Label values are route templates."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.queries = Counter("db_queries_total", "Statements executed.", ["route"], registry=registry)
        self.duration = Histogram(
            "db_query_duration_seconds",
            "Time of one statement, without the reading of its rows.",
            buckets=QUERY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.per_request = Histogram(
            "db_queries_per_request",
            "Statements that one request needed; many small ones are the mark of N+1.",
            ["route"],
            buckets=QUERIES_BUCKETS,
            registry=registry,
        )
        self.in_use = Gauge(
            "db_connections_in_use",
            "Connections that a request holds now.",
            registry=registry,
            multiprocess_mode="livesum",
        )


def init_app(app: Flask, engine: Engine, metrics: DatabaseMetrics, *, tell: bool) -> None:
    """Count what requests of `app` ask of `engine`; `tell` it in their answers, too."""

    @event.listens_for(engine, "before_cursor_execute")
    def start(_connection: Any, _cursor: Any, _statement: Any, _parameters: Any, context: Any, _many: Any) -> None:
        context.started = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def finish(_connection: Any, _cursor: Any, _statement: Any, _parameters: Any, context: Any, _many: Any) -> None:
        seconds = time.perf_counter() - context.started
        metrics.duration.observe(seconds)
        if has_request_context():
            queries, total = g.get("db_spent", (0, 0.0))
            g.db_spent = (queries + 1, total + seconds)

    event.listen(engine, "checkout", lambda *_: metrics.in_use.inc())
    event.listen(engine, "checkin", lambda *_: metrics.in_use.dec())

    @app.after_request
    def account(response: Response) -> Response:
        queries, seconds = g.get("db_spent", (0, 0.0))
        if queries and request.url_rule:
            metrics.queries.labels(request.url_rule.rule).inc(queries)
            metrics.per_request.labels(request.url_rule.rule).observe(queries)
        if tell:
            response.headers.add("Server-Timing", f'db;dur={seconds * 1000:.2f};desc="{queries} queries"')
        return response
