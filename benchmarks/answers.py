"""What the largest answers of Prometheus cost the operator in memory, and how long the others then wait.

    python -m benchmarks.answers

A server on loopback gives the same answer to whatever is asked for all apps at once: values, bursts, failures,
latencies and sizes. A process of its own takes three looks; its peak resident set is measured beside what it has
after a look at one pod.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.adapters.prometheus_http import LARGEST_ANSWER_BYTES
from scalableapp.core.api.metrics import MetricType
from scalableapp.ports import MetricsRequest

LOOKS = 3
MIB = 2**20
EVERYTHING = MetricsRequest(
    frozenset({MetricType.REQUESTS_PER_SECOND, MetricType.CPU, MetricType.MEMORY}),
    frozenset({"shop"}),
    bursts=frozenset({20}),
    latencies=True,
    failures=True,
    usage=True,
)


def series(number: int, labels: Callable[[int], dict[str, str]]) -> Iterator[bytes]:
    """So many series as Prometheus writes them."""
    now = round(time.time() + 20, 3)  # it takes a while until the last look, and 30 s are a clock's error at most
    for index in range(number):
        entry = {"metric": {"namespace": "shop", **labels(index)}, "value": [now, f"{index % 97 / 7:.6f}"]}
        yield json.dumps(entry, separators=(",", ":")).encode()


def vector(number: int, labels: Callable[[int], dict[str, str]]) -> bytes:
    """An answer of so many series."""
    start = b'{"status":"success","data":{"resultType":"vector","result":['
    return start + b",".join(series(number, labels)) + b"]}}"


def fitting(labels: Callable[[int], dict[str, str]]) -> bytes:
    """As many series as are read."""
    a_series = len(vector(1000, labels)) // 1000 + 8
    return vector(min(LARGEST_ANSWER_BYTES // a_series, LARGEST_ANSWER_BYTES // 128), labels)


ANSWERS: dict[str, Callable[[], bytes]] = {
    "one pod": lambda: vector(1, lambda _: {"pod": "web-0"}),
    "1,000 pods with 14 buckets each": lambda: vector(
        14_000, lambda i: {"pod": f"web-5d4f8b7c6-{i // 14:05}", "le": ("+Inf", *map(str, range(1, 14)))[i % 14]}
    ),
    "10,000 pods": lambda: vector(10_000, lambda i: {"pod": f"web-5d4f8b7c6-{i:06}"}),
    "as many buckets as are read": lambda: fitting(lambda i: {"pod": "web-5d4f8b7c6-00001", "le": f"{i / 1000}"}),
    "long labels": lambda: fitting(lambda i: {"pod": "web-5d4f8b7c6-00001", "le": f"{i:04}" + "x" * 1000}),
    "230,000 buckets (24 MB)": lambda: vector(230_000, lambda i: {"pod": "web-5d4f8b7c6-00001", "le": f"{i / 1000}"}),
    "a body without end": lambda: b" " * 100 * MIB,
}


@contextmanager
def serving(body: bytes) -> Iterator[str]:
    """A server that gives one answer to everything but the count of series, for which it has none."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            answer = vector(0, lambda _: {}) if form["query"][0].startswith("count by (namespace)") else body
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who finds an answer too large hangs up
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def looks(url: str) -> tuple[float, str]:
    """Seconds of the slowest look, and what was said of the latencies."""
    metrics = PrometheusMetrics(url, timeout_seconds=30.0)
    slowest, told = 0.0, ""
    for _ in range(LOOKS):
        started = time.monotonic()
        snapshot = await metrics.collect(EVERYTHING)
        slowest = max(slowest, time.monotonic() - started)
        told = snapshot.latencies.problem or "read" if snapshot.latencies else ""
    metrics.close()
    return slowest, told


def peak_bytes() -> int:
    """The largest resident set that this process has had."""
    with open("/proc/self/status") as status:  # noqa: PTH123 - a file of the kernel
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def measured(name: str) -> tuple[int, float, str]:
    """Peak in bytes, seconds of the slowest look, and what became of the answer, in a process of its own."""
    with serving(ANSWERS[name]()) as url:
        command = [sys.executable, "-m", "benchmarks.answers", "--url", url]
        environment = os.environ | {"MALLOC_ARENA_MAX": "1"}  # as in the image
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{name}: the process ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    peak, seconds, told = json.loads(done.stdout)
    return peak, seconds, told


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.url:
        seconds, told = asyncio.run(looks(options.url))
        print(json.dumps([peak_bytes(), seconds, told]))
        return
    print(f"{'answer to each of 9 queries':<36}{'peak':>8}{'more':>9}{'slowest look':>14}  latencies")
    least = 0
    for name in ANSWERS:
        peak, seconds, told = measured(name)
        least = least or peak
        more = f"{(peak - least) / MIB:+.0f} MiB"
        print(f"{name:<36}{peak / MIB:>4.0f} MiB{more:>9}{seconds:>12.2f} s  {told}", flush=True)


if __name__ == "__main__":
    main()
