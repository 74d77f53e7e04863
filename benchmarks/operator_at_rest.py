"""What the operator costs a cluster while nothing happens: read from its own metrics in the cluster.

    python benchmarks/operator_at_rest.py [--seconds 60] [--context kind-scalableapp]

CPU is averaged over the seconds given; memory is the resident set at their end. Requests to the Kubernetes API are
those of the same time, by verb.
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Mapping

NAMESPACE = "scalableapp-system"
_SAMPLE = re.compile(r"^(?P<name>[a-z_]+)(?:{(?P<labels>[^}]*)})? (?P<value>\S+)$")
_VERB = re.compile(r'verb="([A-Z]+)"')


def kubectl(context: str, *arguments: str) -> str:
    """Output of kubectl. Exits with its complaint when it fails."""
    command = ["kubectl", "--context", context, "--request-timeout=30s", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        sys.exit(f"kubectl {' '.join(arguments)} failed: {done.stderr.strip()}; is the operator deployed there?")
    return done.stdout


def pod_of(context: str) -> str:
    """Name of the operator's pod."""
    selector = "app.kubernetes.io/name=scalableapp-operator"
    found = kubectl(context, "get", "pods", "-n", NAMESPACE, "-l", selector, "-o", "jsonpath={.items[*].metadata.name}")
    names = found.split()
    if len(names) != 1:
        sys.exit(
            f"{len(names)} operator pods in {NAMESPACE} of {context}, not one; see: kubectl get pods -n {NAMESPACE}"
        )
    return names[0]


def samples(context: str, pod: str) -> dict[str, float]:
    """The operator's metrics, by name and labels as they are written."""
    text = kubectl(context, "get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics")
    found = (_SAMPLE.match(line) for line in text.splitlines())
    return {f"{match['name']}{{{match['labels'] or ''}}}": float(match["value"]) for match in found if match}


def total(values: Mapping[str, float], name: str) -> float:
    """Sum over all series of that name."""
    return sum(value for series, value in values.items() if series.startswith(f"{name}{{"))


def requests(values: Mapping[str, float]) -> dict[str, float]:
    """Requests to the Kubernetes API so far, by verb."""
    counts: dict[str, float] = {}
    for series, value in values.items():
        verb = _VERB.search(series)
        if verb and series.startswith("scalableapp_api_request_duration_seconds_count"):
            counts[verb[1]] = counts.get(verb[1], 0.0) + value
    return counts


def report(before: Mapping[str, float], after: Mapping[str, float], seconds: float) -> list[tuple[str, str]]:
    """The rows of the table."""

    def grown(name: str) -> float:
        return total(after, name) - total(before, name)

    tick = "scalableapp_tick_duration_seconds"
    ticks = grown(f"{tick}_count")
    asked = requests(before)
    return [
        ("ScalableApps", f"{total(after, 'scalableapp_apps'):.0f}"),
        ("resident memory", f"{total(after, 'process_resident_memory_bytes') / 2**20:.0f} MiB"),
        ("CPU", f"{100 * grown('process_cpu_seconds_total') / seconds:.2f} % of one core"),
        ("ticks", f"{ticks:.0f}, on average {1000 * grown(f'{tick}_sum') / max(ticks, 1):.1f} ms"),
        (
            "event loop lag",
            f"{1000 * total(after, 'scalableapp_event_loop_lag_seconds'):.1f} ms at worst in the last tick",
        ),
        *(
            (f"{verb} requests", f"{count - asked.get(verb, 0.0):.0f}")
            for verb, count in sorted(requests(after).items())
        ),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What the operator costs while nothing happens.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure (default: 60)")
    parser.add_argument("--context", default="kind-scalableapp", help="kubeconfig context (default: kind-scalableapp)")
    arguments = parser.parse_args()
    pod = pod_of(arguments.context)
    print(f"Measuring {pod} for {arguments.seconds:.0f} s ...", file=sys.stderr)
    before, started = samples(arguments.context, pod), time.monotonic()
    time.sleep(arguments.seconds)
    after = samples(arguments.context, pod)
    for name, value in report(before, after, time.monotonic() - started):
        print(f"{name:<18}{value}")


if __name__ == "__main__":
    main()
