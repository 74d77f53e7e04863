"""Usage of the app's pods while a run goes on: asked of the cluster's Prometheus, through the API server."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Full, Queue
from typing import Any
from urllib.parse import quote

from kubernetes import client
from urllib3.exceptions import HTTPError

from demo.recording import Usage

# The kubelet refreshes its numbers every 10 s.
POLL_SECONDS = 5.0
PROMETHEUS = "/api/v1/namespaces/scalableapp-system/services/prometheus:9090/proxy/api/v1/query?query="
_PODS = 'namespace="{namespace}",pod=~"{name}-[a-z0-9]+-[a-z0-9]+",container="app"'
QUERIES = (
    "max(rate(container_cpu_usage_seconds_total{{{pods}}}[30s]))",
    "max(container_memory_working_set_bytes{{{pods}}}) / 2^20",
    (
        "max(rate(container_cpu_cfs_throttled_periods_total{{{pods}}}[30s])"
        " / (rate(container_cpu_cfs_periods_total{{{pods}}}[30s]) > 0))"
    ),
)


@contextmanager
def measuring(api: client.ApiClient, namespace: str, name: str, seen: Queue[Any]) -> Iterator[None]:
    """Put (monotonic seconds, Usage) into `seen` every few seconds, until left. What cannot be had is left out."""
    done = threading.Event()
    thread = threading.Thread(target=_poll, args=(api, namespace, name, seen, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(POLL_SECONDS)


def _poll(api: client.ApiClient, namespace: str, name: str, seen: Queue[Any], done: threading.Event) -> None:
    pods = _PODS.format(namespace=namespace, name=name)
    while not done.wait(POLL_SECONDS):
        try:
            cpu, memory, throttled = (_ask(api, query.format(pods=pods)) for query in QUERIES)
            if cpu is not None and memory is not None:
                seen.put((time.monotonic(), Usage(0.0, cpu, memory, throttled or 0.0)), timeout=1.0)
        except (client.ApiException, HTTPError, OSError, ValueError, KeyError, Full):
            continue


def _ask(api: client.ApiClient, query: str) -> float | None:
    """One number; None when Prometheus has none."""
    request = api.param_serialize("GET", PROMETHEUS + quote(query), auth_settings=["BearerToken"])
    response: Any = api.call_api(*request, _request_timeout=5)
    result = json.loads(response.read())["data"]["result"]
    return float(result[0]["value"][1]) if result else None
