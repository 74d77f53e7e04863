"""Draw docs/images/top.svg: what `kubectl scalableapp top` shows of real apps on the kind cluster under load.

    PYTHONPATH=. python tools/top_picture.py [FILE.svg]

Makes a namespace with three apps, sends them requests through the ingress for a while, draws, and removes it again.
"""

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONTEXT, NAMESPACE = "kind-scalableapp", "shop"
INGRESS = "http://127.0.0.1:8080/"
# Requests per second that each app is sent; its target is 8 per pod.
RATES = {"web": 28.0, "search": 11.0, "admin": 2.0}
LOAD_SECONDS = 100.0
SMALL = {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}}


def app(name: str) -> dict[str, object]:
    """A small app that is scaled on requests."""
    horizontal = {
        "minReplicas": 1,
        "maxReplicas": 6,
        "metrics": [{"type": "RequestsPerSecond", "target": "8"}],
        "burst": {},
    }
    spec = {
        "image": "sample-app:0.1.0",
        "resources": SMALL,
        "ingress": {"host": f"{name}.{NAMESPACE}.test", "className": "contour"},
        "scaling": {"horizontal": horizontal},
    }
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "scalableapp.io/v1alpha1", "kind": "ScalableApp", "metadata": metadata, "spec": spec}


def kubectl(*arguments: str, text: str | None = None) -> None:
    """Run kubectl; its complaint ends the program."""
    subprocess.run(["kubectl", "--context", CONTEXT, *arguments], input=text, text=True, check=True, timeout=180)


@contextmanager
def load(rates: dict[str, float]) -> Iterator[None]:
    """Requests to each app at its rate, until the block ends."""
    stop = threading.Event()

    def send(host: str, rate: float) -> None:
        while not stop.wait(1 / rate):
            request = urllib.request.Request(INGRESS, headers={"Host": host})
            try:
                urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - as above
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)  # its pods are starting

    threads = [threading.Thread(target=send, args=(f"{name}.{NAMESPACE}.test", rate)) for name, rate in rates.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def main(file: Path) -> int:
    """Make the apps, load them, draw."""
    kubectl("create", "namespace", NAMESPACE)
    try:
        kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": [*map(app, RATES)]}))
        for name in RATES:
            kubectl("wait", "-n", NAMESPACE, f"sapp/{name}", "--for=condition=Ready", "--timeout=150s")
        with load(RATES):
            time.sleep(LOAD_SECONDS)
            top = [sys.executable, "-m", "scalableapp.commands.cli", "top", "-A", "--context", CONTEXT]
            subprocess.run([*top, "--svg", str(file)], check=True, timeout=60)
            subprocess.run([*top, "--once"], check=True, timeout=60)
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/top.svg")))
