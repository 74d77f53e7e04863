"""Traces: sent to a real OTLP receiver by real gunicorn; and what is said when they cannot be."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from flask import Flask
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sample_app import telemetry
from tests.sample_app.serving import Server, eventually

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted to /v1/traces."""

    def __init__(self) -> None:
        self.batches: list[ExportTraceServiceRequest] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def spans(self) -> list[str]:
        return [
            span.name
            for batch in self.batches
            for resource in batch.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def resource(self) -> dict[str, str]:
        return {
            attribute.key: attribute.value.string_value
            for attribute in self.batches[0].resource_spans[0].resource.attributes
        }


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            assert isinstance(self.server, Receiver)
            self.server.batches.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.process
def test_every_request_is_a_span_and_a_worker_that_ends_sends_its_last_ones(
    serve: Callable[..., Server], receiver: Receiver
) -> None:
    endpoint = f"http://127.0.0.1:{receiver.server_address[1]}"
    server = serve(**{ENDPOINT: endpoint}, DRAIN_SECONDS="0", OTEL_BSP_SCHEDULE_DELAY="600000")
    server.workers(2)
    for _ in range(5):
        server.get("/work?ms=0")
    assert f"traces go to {endpoint}" in server.log.read_text()
    assert receiver.spans == []  # not before a batch is due
    server.process.terminate()
    server.process.wait(30)
    eventually(lambda: receiver.spans == ["GET /work"] * 5, "the spans have arrived")
    assert receiver.resource["k8s.pod.name"] == "pod-a"
    assert receiver.resource["service.name"] == "sample-app"


def test_without_an_endpoint_nothing_is_traced(caplog: pytest.LogCaptureFixture) -> None:
    assert telemetry.start(Flask("app"), {}) is False
    assert caplog.text == ""


def test_without_the_packages_the_log_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.flask", None)
    assert telemetry.start(Flask("app"), {ENDPOINT: "http://collector:4318"}) is False
    assert f"{ENDPOINT} is set, but opentelemetry.instrumentation.flask is not installed" in caplog.text
    assert "EXTRAS=otel" in caplog.text
