"""Names, pins and places. Pins are changed here and nowhere else."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CLUSTER_NAME = "scalableapp"
CONTROL_PLANE = f"{CLUSTER_NAME}-control-plane"
CONTEXT = f"kind-{CLUSTER_NAME}"


def cache_dir() -> Path:
    """Where everything worth keeping lies: programs, logs, our engine's images. Removing it costs only time."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "scalableapp"


def log_file(name: str) -> Path:
    """Where a long command's output goes."""
    return cache_dir() / "logs" / f"{name}.log"


def offline() -> bool:
    """OFFLINE=1: no container registry and no download site is tried (package registries are)."""
    return os.environ.get("OFFLINE", "") not in ("", "0")


# kind and Kubernetes for machines with internet. Checksums: the releases' own SHA-256 sums.
KIND_VERSION = "v0.33.0"
KIND_URL = "https://github.com/kubernetes-sigs/kind/releases/download/{version}/kind-linux-{architecture}"
KIND_SHA256 = {
    "amd64": "aee6151561422756b764a4ae28e7f44cda5af5a9eead3cc9985112b1de8d8e0d",
    "arm64": "20022bee6cfcd5086cb7234d218e3454e6090022f2a8f55d1fa7fcf42c3867a2",
}
# The node image for machines with internet is pinned in kind-config.yaml, where its users look for it.
KIND_CONFIG = REPOSITORY / "kind-config.yaml"
