"""Builds each of our own images twice without a cache and compares what came out: file by file, and how it is run.

`make images-check`; names as arguments limit it (`tools/check_reproducible.py sample-app`). Exit code 1 when two
builds of this checkout differ. Times of files are not compared: nothing reads them (the bytecode holds none).
"""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from cluster import bases, contents, docker, images  # noqa: E402 - a script's own folder is on the path
from cluster.console import ClusterError, say, warn  # noqa: E402 - as above
from cluster.shell import succeeds  # noqa: E402 - as above

BUILDS = ("first", "second")
SHOWN = 40


def main(names: list[str]) -> int:
    """Exit code: 1 when anything differs or cannot be built."""
    chosen = [image for image in images.IMAGES if not names or image.reference.partition(":")[0] in names]
    if not chosen:
        warn(f"there is no image {', '.join(names)}; there are {', '.join(image.reference for image in images.IMAGES)}")
        return 1
    try:
        bases.ensure(bases.PYTHON, "debian:trixie-slim")
        found = [line for image in chosen for line in differing(image)]
    except ClusterError as error:
        warn(str(error))
        return 1
    return 1 if found else 0


def differing(image: images.Image) -> list[str]:
    """Builds the image twice and returns the differences, one a line, having said them."""
    name = image.reference.partition(":")[0].replace("/", "-")
    references = [f"reproducible/{name}:{build}" for build in BUILDS]
    try:
        for reference in references:
            images.build_one(image, reference, cached=False)
        first, second = (_facts(reference) for reference in references)
    finally:
        succeeds("docker", "rmi", *references, timeout=120)
    lines = contents.differences(first, second)
    say(image.reference, f"{len(first)} paths, {len(lines)} differ" if lines else f"{len(first)} paths, all the same")
    print("".join(f"    {line}\n" for line in lines[:SHOWN]), end="")
    return lines


def _facts(reference: str) -> dict[str, contents.Entry]:
    with contents.exported(reference) as archive:
        tree = contents.tree(archive)
    found = docker.inspect("image", reference) or {}
    for key in ("Env", "Labels", "User", "Entrypoint", "Cmd", "WorkingDir", "ExposedPorts"):
        tree[f"config {key}"] = contents.Entry("config", "", "", "", str(found["Config"].get(key)))
    return tree


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
