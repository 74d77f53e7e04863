"""What the operator's imports cost: time and memory, each in a fresh interpreter.

Run: python benchmarks/imports.py
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

OPERATOR = Path(__file__).parents[1] / "operator"
RUNS = 3
TIMEOUT_SECONDS = 60

# Name in the table, and what is imported for it.
SUBJECTS = {
    "python itself": "sys",
    "pydantic": "pydantic",
    "requests": "requests",
    "prometheus-api-client": "from prometheus_api_client import PrometheusConnect",
    "promql-parser": "promql_parser",
    "prometheus-client": "prometheus_client",
    "kubernetes.aio, raw": "from kubernetes.aio.client.api_client import ApiClient",
    "kubernetes.aio, typed (not used)": "from kubernetes.aio.client import AppsV1Api, CoreV1Api; AppsV1Api, CoreV1Api",
    "kopf": "kopf",
    "scalableapp.core.horizontal.decide": "scalableapp.core.horizontal.decide",
    "scalableapp.adapters.prometheus": "scalableapp.adapters.prometheus",
    "scalableapp.adapters.kubernetes": "scalableapp.adapters.kubernetes",
    "the whole operator": "scalableapp.handlers",
}

PROBE = """
import json, sys, time
started = time.perf_counter()
{statement}
seconds = time.perf_counter() - started
status = open("/proc/self/status").read()
rss = int(status.split("VmRSS:")[1].split()[0])
print(json.dumps([seconds, rss, len(sys.modules)]))
"""


@dataclass(frozen=True)
class Cost:
    """Best of several runs: seconds to import, resident memory in KiB, modules loaded."""

    seconds: float
    rss_kib: int
    modules: int


def measure(subject: str) -> Cost:
    """Import `subject` in fresh interpreters. Raises CalledProcessError when it can't be imported."""
    statement = subject if " " in subject else f"import {subject}"
    command = [sys.executable, "-c", PROBE.format(statement=statement)]
    environment = {**os.environ, "PYTHONPATH": str(OPERATOR)}
    results = []
    for _ in range(RUNS):
        done = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
        results.append(json.loads(done.stdout))
    seconds, rss, modules = (min(column) for column in zip(*results, strict=True))
    return Cost(seconds, rss, modules)


def main() -> None:
    """Print the table."""
    print(f"{'import':36}{'ms':>8}{'RSS MiB':>10}{'modules':>10}")
    for name, subject in SUBJECTS.items():
        cost = measure(subject)
        print(f"{name:36}{cost.seconds * 1000:8.0f}{cost.rss_kib / 1024:10.1f}{cost.modules:10}", flush=True)


if __name__ == "__main__":
    main()
