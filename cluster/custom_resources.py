"""The custom resource definitions that Contour needs: its own, and those of the Gateway API.

They are other projects' files and not in this repository. The Go modules that Contour is compiled from hold them; where
no Go is installed the same files are downloaded from where those modules are published.
"""

import hashlib
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from . import modules
from .console import ClusterError, say
from .kube import kubectl
from .settings import offline
from .shell import run

_FOLDER = modules.FOLDER / "contour"
_DOWNLOAD_SECONDS = 30.0
_MODULE_SECONDS = 300.0
_APPLY_SECONDS = 120.0
_NAME = re.compile(r"^  name: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """One file with definitions: its module, its path in there, its SHA-256, and the names that are taken from it."""

    module: str
    repository: str
    path: str
    sha256: str
    names: tuple[str, ...]

    @property
    def version(self) -> str:
        """The module's version, as go.mod has it."""
        return modules.version("contour", self.module)


def _gateway_api(kind: str, sha256: str) -> Source:
    name = f"{kind}.gateway.networking.k8s.io"
    path = f"config/crd/standard/gateway.networking.k8s.io_{kind}.yaml"
    return Source("sigs.k8s.io/gateway-api", "kubernetes-sigs/gateway-api", path, sha256, (name,))


HTTP_ROUTES = _gateway_api("httproutes", "a4ecf600c7e0bfd3cdb24e6411938d9b330117a26675f303cc6d9a407cb257d1")
SOURCES = (
    _gateway_api("gatewayclasses", "7c8ee2c1878d9dcc6ba106181e3d14d7eaa520ec070233d62f3aa0d674d19450"),
    _gateway_api("gateways", "c949e7c3951227b92a582817a7a660558ce0fb94c081da264b4e2bbe4a1e5387"),
    HTTP_ROUTES,
    _gateway_api("referencegrants", "7587b2e7e5b1b9a26717b3ef8142f64e6600637eadf481a6bd0031740644b495"),
    # Contour watches these two whatever is asked of it.
    Source(
        "github.com/projectcontour/contour",
        "projectcontour/contour",
        "examples/contour/01-crds.yaml",
        "c02ed88146211c84edcafb718191f403ab35d8a9c6593bdc244338d20e8461b2",
        ("httpproxies.projectcontour.io", "tlscertificatedelegations.projectcontour.io"),
    ),
)


def apply() -> None:
    """Applies the definitions and waits until the API server serves them. Raises ClusterError."""
    # By the server: they are too large for the annotation in which kubectl keeps what it applied last.
    options = ("--server-side", "--force-conflicts", "--filename", "-")
    kubectl("apply", *options, stdin="\n---\n".join(map(definitions, SOURCES)), timeout=_APPLY_SECONDS)
    names = [f"crd/{name}" for source in SOURCES for name in source.names]
    kubectl("wait", "--for=condition=Established", "--timeout=60s", *names, timeout=70)
    say("ingress", f"{len(names)} custom resource definitions of Contour and the Gateway API are installed")


def definitions(source: Source) -> str:
    """The definitions of `source` that are needed, as YAML. Raises ClusterError where the file cannot be had."""
    documents = re.split(r"^---$", text(source), flags=re.MULTILINE)
    named = {found[1]: document for document in documents if (found := _NAME.search(document))}
    return "\n---\n".join(named[name] for name in source.names)


def text(source: Source) -> str:
    """The file, checked against its SHA-256."""
    content = from_module(source) or _download(source)
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise ClusterError(
            f"{source.path} of {source.module} {source.version} is not the expected one (its SHA-256 differs). If"
            f" {_FOLDER / 'go.mod'} was changed on purpose, write the new sum into {Path(__file__).name}."
        )
    return content.decode()


def from_module(source: Source) -> bytes | None:
    """The file out of its Go module; None where Go is missing or too old, or its proxy is not reached."""
    try:
        answer = run("go", "-C", str(_FOLDER), "mod", "download", "-json", source.module, timeout=_MODULE_SECONDS)
    except ClusterError:
        return None
    return (Path(json.loads(answer)["Dir"]) / source.path).read_bytes()


def _download(source: Source) -> bytes:
    url = f"https://raw.githubusercontent.com/{source.repository}/{source.version}/{source.path}"
    if offline():
        raise ClusterError(f"{source.path} of {source.module} is needed; install Go 1.26, or run without OFFLINE=1.")
    try:
        with urllib.request.urlopen(url, timeout=_DOWNLOAD_SECONDS) as response:
            content: bytes = response.read()
    except (urllib.error.URLError, TimeoutError) as error:
        raise ClusterError(
            f"{url} cannot be downloaded ({error}); install Go 1.26, with which it is downloaded as a module."
        ) from None
    return content
