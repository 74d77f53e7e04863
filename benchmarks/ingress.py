"""`make bench-ingress`: requests by an Ingress and an HTTPRoute while pods scale, roll and their nodes are drained.

    python -m benchmarks.ingress [--requests 10000] [--rate 20]

Two apps of the kind cluster, one by each way in, are under the demonstration's load, `rate` requests/s each, until each
of them has answered that many requests. Meanwhile both are scaled up, rolled, drained from one worker after the other,
and scaled down, over and over. The operator has to be deployed. Ends with status 1 when a request failed.
"""

import argparse
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

from cluster.console import ClusterError, say
from cluster.ingress import URL
from cluster.kube import kubectl
from demo.errors import DemoError
from demo.load import Load, load
from demo.plan import Plan, five_stages
from demo.recording import LoadSample, latencies, percentile

NAMESPACE = "bench-ingress"
KIND = "scalableapps.scalableapp.io"
FEW, MANY = 2, 4
PATIENCE_SECONDS = 240.0
GATEWAY = {"name": "contour", "namespace": "projectcontour", "sectionName": "http"}


@dataclass
class EntryPoint:
    """One way in with an app of its own: its fields in the spec, and what the load generator saw."""

    name: str
    fields: dict[str, Any]
    seen: Queue[Any] = field(default_factory=Queue)
    samples: list[LoadSample] = field(default_factory=list)

    @property
    def host(self) -> str:
        """The host name that leads to its app."""
        return f"{self.name.lower()}.{NAMESPACE}.test"

    def answered(self) -> int:
        """Requests so far, failed ones included."""
        while not self.seen.empty():
            self.samples.append(self.seen.get())
        return len(latencies(self.samples))

    def failures(self) -> Counter[str]:
        """How many requests failed, by reason."""
        return sum((Counter(sample.failures) for sample in self.samples), Counter())

    def row(self) -> str:
        """Its line of the table."""
        times = latencies(self.samples)
        half, most = (percentile(times, quantile) or 0.0 for quantile in (0.5, 0.99))
        anew = sum(sample.retries for sample in self.samples)
        return f"{self.name:<10}{len(times):>9}{self.failures().total():>8}{anew:>11}{half:>8.0f}{most:>8.0f}"


INGRESS = EntryPoint("Ingress", {"ingress": {"className": "contour", "host": f"ingress.{NAMESPACE}.test"}})
ROUTE = EntryPoint("HTTPRoute", {"route": {"parentRefs": [GATEWAY], "hostnames": [f"httproute.{NAMESPACE}.test"]}})
ENTRY_POINTS = (INGRESS, ROUTE)


def app(entry: EntryPoint) -> dict[str, Any]:
    """The ScalableApp behind a way in. Its replicas are pinned: it is the ways in that are tried."""
    resources = {"requests": {"cpu": "25m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}
    horizontal = {"minReplicas": 1, "maxReplicas": MANY, "metrics": [{"type": "RequestsPerSecond", "target": "50"}]}
    spec = {"image": "sample-app:0.1.0", "env": [{"name": "DEMO", "value": "1"}], "resources": resources}
    return {
        "apiVersion": "scalableapp.io/v1alpha1",
        "kind": "ScalableApp",
        "metadata": {"name": entry.name.lower(), "namespace": NAMESPACE},
        "spec": {**spec, "replicas": FEW, "scaling": {"horizontal": horizontal}, **entry.fields},
    }


@contextmanager
def deployed() -> Iterator[None]:
    """The namespace with both apps, ready; afterwards it is removed."""
    kubectl("create", "namespace", NAMESPACE)
    try:
        for entry in ENTRY_POINTS:
            kubectl("apply", "--filename", "-", stdin=json.dumps(app(entry)))
        until("both apps are ready", lambda: ready(FEW))
        for entry in ENTRY_POINTS:
            wait = ("wait", "--for=condition=Ready", f"{KIND}/{entry.name.lower()}", "--timeout=60s")
            kubectl("--namespace", NAMESPACE, *wait, timeout=70)
        yield
    finally:
        for node in workers():
            kubectl("uncordon", node)
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def workers() -> list[str]:
    """The nodes that take apps."""
    nodes = json.loads(kubectl("get", "nodes", "--output", "json"))["items"]
    taken = ("node-role.kubernetes.io/control-plane",)
    return [
        node["metadata"]["name"]
        for node in nodes
        if not any(taint["key"] in taken for taint in node["spec"].get("taints", ()))
    ]


def until(what: str, condition: Callable[[], bool]) -> None:
    """Waits until `condition` is true. Raises DemoError when that takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError(f"not within {PATIENCE_SECONDS:.0f} s: {what}; see `kubectl get pods -n {NAMESPACE}`")
        time.sleep(1)


def ready(replicas: int, node: str = "") -> bool:
    """Whether each app has that many ready pods, no others, and none on `node`."""
    items = json.loads(kubectl("--namespace", NAMESPACE, "get", "pods", "--output", "json"))["items"]
    conditions = ("Ready", "True")
    good = [
        item
        for item in items
        if any((entry["type"], entry["status"]) == conditions for entry in item["status"].get("conditions", ()))
        and "deletionTimestamp" not in item["metadata"]
        and item["spec"].get("nodeName") != node
    ]
    return len(good) == len(items) == replicas * len(ENTRY_POINTS)


def scale(replicas: int) -> None:
    """Gives both apps that many replicas and waits until only those are there."""
    for entry in ENTRY_POINTS:
        kubectl("--namespace", NAMESPACE, "scale", KIND, entry.name.lower(), f"--replicas={replicas}")
    until(f"each app has {replicas} pods", lambda: ready(replicas))


def roll(replicas: int) -> None:
    """Replaces all pods of both apps."""
    value = str(time.time())
    for entry in ENTRY_POINTS:
        changed = {"spec": {"env": [*app(entry)["spec"]["env"], {"name": "ROLLED", "value": value}]}}
        patch = ("patch", KIND, entry.name.lower(), "--type=merge", "--patch", json.dumps(changed))
        kubectl("--namespace", NAMESPACE, *patch)
    until(
        "the operator has changed both Deployments",
        lambda: all(value in template(entry) for entry in ENTRY_POINTS),
    )
    for entry in ENTRY_POINTS:
        rolled = ("rollout", "status", f"deployment/{entry.name.lower()}", f"--timeout={PATIENCE_SECONDS:.0f}s")
        kubectl("--namespace", NAMESPACE, *rolled, timeout=PATIENCE_SECONDS + 10)
    until("the old pods have gone", lambda: ready(replicas))


def template(entry: EntryPoint) -> str:
    """The pod template of a way's Deployment."""
    return kubectl("--namespace", NAMESPACE, "get", "deployment", entry.name.lower(), "--output", "yaml")


def drain(node: str, replicas: int) -> None:
    """Drains a node of both apps and gives it back when all their pods run elsewhere."""
    selector = f"scalableapp.io/app in ({','.join(entry.name.lower() for entry in ENTRY_POINTS)})"
    options = ("--pod-selector", selector, "--delete-emptydir-data", f"--timeout={PATIENCE_SECONDS:.0f}s")
    kubectl("drain", node, *options, timeout=PATIENCE_SECONDS + 10)
    until(f"all pods have left {node}", lambda: ready(replicas, node))
    kubectl("uncordon", node)


def disturb(done: Counter[str], node: str) -> Iterator[None]:
    """One round of all that happens to pods; yields after each step."""
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("scaled", lambda: scale(MANY)),
        ("rolled", lambda: roll(MANY)),
        ("drained", lambda: drain(node, MANY)),
        ("scaled", lambda: scale(FEW)),
    )
    for name, step in steps:
        step()
        done[name] += 1
        say(
            "ingress",
            f"{name}; {', '.join(f'{entry.name} {entry.answered()} requests' for entry in ENTRY_POINTS)}",
        )
        yield


def measure(requests: int, rate: float) -> Counter[str]:
    """Sends the load to both apps until each has answered enough. Returns how often what was done meanwhile."""
    done: Counter[str] = Counter()
    plan = constant(rate, seconds=4 * requests / rate + PATIENCE_SECONDS)
    with ExitStack() as stack:
        running = [stack.enter_context(load(URL, entry.host, plan, entry.seen)) for entry in ENTRY_POINTS]
        for node in itertools.cycle(workers()):
            for _ in disturb(done, node):
                check(running)
            if all(entry.answered() >= requests for entry in ENTRY_POINTS):
                break
    return done


def constant(rate: float, seconds: float) -> Plan:
    """The same load all the time, for that long at most."""
    return five_stages(calm=rate, high=rate, seconds=(seconds / 5,) * 5)


def check(running: list[Load]) -> None:
    """Raises DemoError when a generator has ended."""
    if not all(each.running for each in running):
        raise DemoError(
            "the load ended before enough requests were answered; ask for fewer --requests or a higher --rate"
        )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="benchmarks.ingress", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000, help="requests through each way in, at least")
    parser.add_argument("--rate", type=float, default=20.0, help="requests/s through each way in")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        with deployed():
            done = measure(options.requests, options.rate)
    except (ClusterError, DemoError) as error:
        sys.exit(f"bench-ingress: {error}")
    meanwhile = ", ".join(f"{name} {count} times" for name, count in done.items())
    print(f"\nin {time.monotonic() - began:.0f} s both apps were {meanwhile}")
    print(f"{'kind':<10}{'requests':>9}{'failed':>8}{'retried':>11}{'p50 ms':>8}{'p99 ms':>8}")
    print("\n".join(entry.row() for entry in ENTRY_POINTS))
    for entry in ENTRY_POINTS:
        for reason, count in entry.failures().most_common():
            print(f"{entry.name}: {count} x {reason}")
    return 1 if any(entry.failures() for entry in ENTRY_POINTS) else 0


if __name__ == "__main__":
    sys.exit(main())
