"""Before the load: cluster, operator, Prometheus and the app. Each step can be repeated."""

import itertools
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from cluster import ingress
from cluster.console import ClusterError, say
from cluster.kube import kubectl
from demo.errors import DemoError
from demo.run import App

REPOSITORY = Path(__file__).resolve().parent.parent
OVERLAY = REPOSITORY / "manifests" / "overlays" / "kind"
CRD = "crd/scalableapps.scalableapp.io"
READY_SECONDS = 150
POLL_SECONDS = 1.0
EVENTS_SHOWN = 8

Manifest = Mapping[str, Any]


def cluster_up() -> None:
    """Bring the cluster up, with this repository's images; its tool says what it does."""
    done = subprocess.run([sys.executable, "-m", "cluster", "up"], cwd=REPOSITORY, check=False)
    if done.returncode:
        raise DemoError("the cluster could not be created (see above)")


def operator_up() -> None:
    """Apply the CRD, the operator and Prometheus, and wait until they are ready."""
    say("operator", f"applying {OVERLAY.relative_to(REPOSITORY)}: CRD, operator, Prometheus")
    applied = json.loads(kubectl("apply", "--kustomize", str(OVERLAY), "--output", "json"))
    kubectl("wait", "--for=condition=Established", CRD, "--timeout=60s", timeout=70)
    deployments = [item["metadata"] for item in applied["items"] if item["kind"] == "Deployment"]
    for deployment in deployments:
        _roll_out(deployment["namespace"], deployment["name"])
    say("operator", f"{' and '.join(deployment['name'] for deployment in deployments)} are ready")


def app_of(manifest: Path) -> App:
    """Whom a ScalableApp's manifest is about, and where its ingress will answer."""
    content = yaml.safe_load(manifest.read_text())
    metadata = content["metadata"]
    host = content["spec"].get("ingress", {}).get("host")
    return App(metadata.get("namespace", "default"), metadata["name"], ingress.URL, None if host == "*" else host)


def app_up(manifest: Path) -> App:
    """Apply a ScalableApp and wait until it is at its start, whatever it was before.

    At its start means: the fewest replicas, all ready, answering through the ingress, with metrics that the
    operator sees. Raises DemoError with what the cluster says about it when that takes too long.
    """
    app = app_of(manifest)
    say("app", f"applying ScalableApp {app.namespace}/{app.name}")
    kubectl("apply", "--filename", str(manifest))
    # `kubectl scale sapp` would have left a pin that apply does not remove.
    _on(app, "patch", "scalableapp", app.name, "--type=merge", "--patch", '{"spec":{"replicas":null}}')
    _wait(app, "its Deployment", lambda: deployment_lacks(_get(app, "scalableapp"), _get(app, "deployment")))
    _wait(app, f"an answer on {app.url}", lambda: answer_lacks(app))
    _wait(app, "its metrics", lambda: metrics_lack(_get(app, "scalableapp")))
    say("app", f"answers on {app.url} with its minimum of replicas")
    return app


def deployment_lacks(scalable_app: Manifest, deployment: Manifest) -> str:
    """What keeps the Deployment (empty while it is not there) from its start, in words; "" when nothing does."""
    if not deployment:
        return "the operator has not created it yet"
    fewest = scalable_app["spec"].get("scaling", {}).get("horizontal", {}).get("minReplicas", 1)
    status = deployment.get("status", {})
    current = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    counts = [deployment["spec"].get("replicas", 1)]
    counts += [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    if current and counts == [fewest] * 4:
        return ""
    wanted, running, updated, ready = counts
    return f"{wanted} replicas desired, {running} running, {updated} up to date, {ready} ready; initially {fewest}"


def metrics_lack(scalable_app: Manifest) -> str:
    """Why the operator cannot scale the app on its metrics yet; "" when it can."""
    conditions = {entry["type"]: entry for entry in scalable_app.get("status", {}).get("conditions", ())}
    available = conditions.get("MetricsAvailable", {})
    if available.get("status") == "True":
        return ""
    return f"MetricsAvailable is {available.get('status', 'not set')}: {available.get('message', 'no message')}"


def answer_lacks(app: App) -> str:
    """What the ingress answers instead of the app's page; "" when it answers with that."""
    request = urllib.request.Request(app.url, headers={"Host": app.host} if app.host else {})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=5):  # noqa: S310 - loopback
            return ""
    except (urllib.error.URLError, OSError) as error:
        return f"{app.url} does not answer for the app: {error}"


def diagnosis(namespace: str) -> str:
    """Pods and latest warnings of a namespace, for an error message."""
    pods = _try("--namespace", namespace, "get", "pods")
    warnings = _try(
        "--namespace", namespace, "get", "events", "--field-selector=type=Warning", "--sort-by=.lastTimestamp"
    )
    latest = "\n".join(warnings.splitlines()[-EVENTS_SHOWN:])
    return f"pods in {namespace}:\n{pods}\nlatest warnings:\n{latest}"


def _wait(app: App, what: str, lacking: Callable[[], str]) -> None:
    """Ask once a second until nothing is lacking, and say now and then what is."""
    deadline = time.monotonic() + READY_SECONDS
    for attempt in itertools.count():
        lack = lacking()
        if not lack:
            return
        if time.monotonic() > deadline:
            raise DemoError(
                f"ScalableApp {app.namespace}/{app.name} did not get ready within {READY_SECONDS} s: {lack}\n"
                f"{diagnosis(app.namespace)}\n"
                f"See: kubectl -n {app.namespace} describe sapp {app.name}"
            )
        if attempt % 10 == 5:
            say("app", f"waiting for {what}: {lack}")
        time.sleep(POLL_SECONDS)


def _roll_out(namespace: str, name: str) -> None:
    arguments = ("--namespace", namespace, "rollout", "status", f"deployment/{name}", f"--timeout={READY_SECONDS}s")
    try:
        kubectl(*arguments, timeout=READY_SECONDS + 10)
    except ClusterError as error:
        logs = _try("--namespace", namespace, "logs", f"deployment/{name}", "--tail=20")
        raise DemoError(f"{name} is not ready: {error}\n{diagnosis(namespace)}\nits log ends:\n{logs}") from error


def _get(app: App, kind: str) -> Any:
    """An object of the app's name; empty while it is not there."""
    return json.loads(_on(app, "get", kind, app.name, "--ignore-not-found", "--output", "json") or "{}")


def _on(app: App, *arguments: str) -> str:
    return kubectl("--namespace", app.namespace, *arguments)


def _try(*arguments: str) -> str:
    """What kubectl says, or why it could not: for messages about something else that failed."""
    try:
        return kubectl(*arguments, timeout=15)
    except ClusterError as error:
        return str(error)
