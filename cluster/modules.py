"""What cluster/go says: which module each program comes from, and at which version."""

import os
import re
from pathlib import Path

from .console import ClusterError

FOLDER = Path(__file__).parent / "go"
_OVERRIDE = "KUBERNETES"


def version(group: str, module: str) -> str:
    """Version of a module in cluster/go/GROUP/go.mod, such as v1.37.2. Raises ClusterError when it is not in there."""
    return version_in((FOLDER / group / "go.mod").read_text(), module)


def version_in(go_mod: str, module: str) -> str:
    """Version of a module in the text of a go.mod. Raises ClusterError when it is not in there."""
    found = re.search(rf"^(?:require )?\t?{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if not found:
        raise ClusterError(f"no go.mod in cluster/go has a version of {module}.")
    return found[1]


def default_kubernetes() -> str:
    """The Kubernetes that is built without being asked for another one: the version in go.mod, such as v1.37.2."""
    return version("kubernetes", "k8s.io/kubernetes")


def kubernetes() -> str:
    """The Kubernetes to build: that of KUBERNETES in the environment, else that of go.mod.

    Raises ClusterError when KUBERNETES is no version.
    """
    asked = os.environ.get(_OVERRIDE, "").removeprefix("v")
    if not asked:
        return default_kubernetes()
    if not re.fullmatch(r"1\.\d+\.\d+", asked):
        raise ClusterError(f"KUBERNETES={asked} is not a Kubernetes version; write one such as KUBERNETES=1.34.4.")
    return f"v{asked}"


def prometheus() -> str:
    """Prometheus' own version: its module counts 3.16.0 as v0.316.0."""
    number = version("prometheus", "github.com/prometheus/prometheus")
    _, minor, patch = number.split(".")
    return f"{int(minor) // 100}.{int(minor) % 100}.{patch}"


def pinned(requirements: Path, package: str) -> str:
    """Version of a Python package in a requirements file. Raises ClusterError when it is not in there."""
    found = re.search(rf"^{re.escape(package)}==(\S+)", requirements.read_text(), re.MULTILINE)
    if not found:
        raise ClusterError(f"{requirements} pins no version of {package}.")
    return found[1]


def go_mod_for(go_mod: str, wanted: str, published: str) -> str:
    """The go.mod of the Kubernetes programs for another version of Kubernetes.

    `published` is the go.mod of that version of k8s.io/kubernetes, whose staging modules (k8s.io/api and others) have a
    version of their own: 1.34.4 goes with 0.34.4. `go mod tidy` completes the result.
    """
    tools = re.search(r"^tool \(.*?^\)", go_mod, re.MULTILINE | re.DOTALL)
    if not tools:
        raise ClusterError("cluster/go/kubernetes/go.mod has no tool block.")
    staging = wanted.replace("v1.", "v0.", 1)
    replaced = re.findall(r"^\s*(\S+) => \./staging", published, re.MULTILINE)
    lines = [f"\t{module} => {module} {staging}" for module in replaced]
    return "\n".join(
        [
            "module scalableapp/cluster/kubernetes",
            "go 1.26.0",
            tools[0],
            f"require k8s.io/kubernetes {wanted}",
            "replace (",
            *lines,
            ")",
            "",
        ]
    )
