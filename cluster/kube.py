"""The few things we ask of the cluster's API."""

import json
import time

from . import programs
from .console import ClusterError, say
from .settings import CONTEXT
from .shell import run, succeeds


def kubectl(*arguments: str, timeout: float = 60.0, context: str = CONTEXT, stdin: str | None = None) -> str:
    """Runs kubectl in our cluster (or another context) and returns its output."""
    return run(programs.kubectl(), "--context", context, *arguments, timeout=timeout, stdin=stdin)


def is_ready() -> bool:
    """Whether the API server is ready and every node reports Ready."""
    try:
        kubectl("get", "--raw", "/readyz", "--request-timeout", "5s", timeout=10)
        condition = '{.status.conditions[?(@.type=="Ready")].status}'
        nodes = kubectl("get", "nodes", "--output", f"jsonpath={{range .items[*]}}{condition} {{end}}", timeout=10)
    except ClusterError:
        return False
    return set(nodes.split()) == {"True"}


def wait_until_ready(timeout: float) -> bool:
    """Waits at most `timeout` seconds for `is_ready`; says whether it came true."""
    deadline = time.monotonic() + timeout
    while not (ready := is_ready()) and time.monotonic() < deadline:
        time.sleep(1)
    return ready


def restart_users_of(references: list[str]) -> None:
    """Restarts the Deployments that run one of these images: same name, new content, else they keep the old one."""
    if not references:
        return
    for deployment in json.loads(kubectl("get", "deployments", "--all-namespaces", "--output", "json"))["items"]:
        containers = deployment["spec"]["template"]["spec"]["containers"]
        if any(container["image"] in references for container in containers):
            namespace, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
            kubectl("--namespace", namespace, "rollout", "restart", f"deployment/{name}")
            say("images", f"restarting {namespace}/{name}, whose image is new")


def current_context() -> str:
    """The kubeconfig's current context. Raises ClusterError when there is none."""
    try:
        return run(programs.kubectl(), "config", "current-context").strip()
    except ClusterError:
        raise ClusterError(
            "the kubeconfig has no current context; choose one by `kubectl config use-context`."
        ) from None


def has_context(name: str) -> bool:
    """Whether the kubeconfig knows the context."""
    return succeeds(programs.kubectl(), "config", "get-contexts", name)
