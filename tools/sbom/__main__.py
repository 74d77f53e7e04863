"""`python -m tools.sbom [NAME ...]`: builds our own images (all, or those named) and writes the bill of each."""

import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from cluster import bases, contents, docker, images
from cluster.console import ClusterError, say, warn
from cluster.settings import REPOSITORY
from cluster.shell import succeeds
from tools.sbom import bill, found
from tools.sbom.found import Package

FOLDER = REPOSITORY / "dist" / "sbom"
DPKG = "var/lib/dpkg/status"
RELEASE = "usr/lib/os-release"
DOC = "usr/share/doc/"


class Records(NamedTuple):
    """The text files of an image that tell what is in it, by path."""

    texts: dict[str, str]

    def ending(self, end: str) -> dict[str, str]:
        """Those whose path ends so."""
        return {path: text for path, text in self.texts.items() if path.endswith(end)}


def main(names: list[str]) -> int:
    """Exit code: 1 when an image cannot be built, or its bill is none."""
    chosen = [image for image in images.IMAGES if not names or image.reference.partition(":")[0] in names]
    if not chosen:
        warn(f"there is no image {', '.join(names)}; there are {', '.join(image.reference for image in images.IMAGES)}")
        return 1
    try:
        bases.ensure(bases.PYTHON, "debian:trixie-slim")
        for image in chosen:
            write(image)
    except (ClusterError, ValueError) as error:
        warn(str(error))
        return 1
    return 0


def write(image: images.Image) -> Path:
    """Builds an image, writes its bill and returns where. Raises ClusterError, ValueError."""
    images.build_one(image, image.reference)
    packages = of_image(records(image.reference), found.wheel_hashes(reports(image)))
    labels = (docker.inspect("image", image.reference) or {})["Config"]["Labels"] or {}
    name, _, version = image.reference.rpartition(":")
    path = FOLDER / f"{name}-{version}.cdx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(bill.bill(image.reference, labels, packages) + "\n")
    kinds = Counter(package.kind for package in packages)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    say(image.reference, f"{path.relative_to(REPOSITORY)}: {counts} packages")
    return path


def reports(image: images.Image) -> list[str]:
    """What pip said when it installed the image's packages; none for an image without Python packages."""
    if " AS build" not in (REPOSITORY / image.dockerfile).read_text():
        return []
    stage = f"{image.reference.partition(':')[0]}-build:sbom"
    try:
        images.build_one(image, stage, target="build")
        return list(records(stage).ending(".json").values())
    finally:
        succeeds("docker", "rmi", stage)


def records(reference: str) -> Records:
    """Reads the records out of an image. Raises ClusterError."""
    texts = {}
    with contents.exported(reference) as archive:
        for member in archive:
            if member.isreg() and _is_record(member.name) and (content := archive.extractfile(member)):
                texts[member.name] = content.read().decode(errors="replace")
    return Records(texts)


def _is_record(path: str) -> bool:
    by_name = path in (DPKG, RELEASE) or path.endswith((".dist-info/METADATA", "/patchlevel.h"))
    return by_name or (path.startswith(DOC) and path.endswith("/copyright")) or path.startswith("tmp/report")


def of_image(of: Records, hashes: dict[str, str]) -> list[Package]:
    """All packages that an image's records tell of, sorted."""
    # Base and security release are one distribution for who looks up vulnerabilities.
    release = dict(line.split("=", 1) for line in of.texts[RELEASE].splitlines() if "=" in line)
    distribution = f"{release['ID']}-{release['VERSION_ID']}".replace('"', "")
    copyrights = {Path(path).parent.name: text for path, text in of.ending("/copyright").items()}
    packages = list(found.debian_packages(of.texts[DPKG], copyrights, distribution))
    packages += [found.python_package(text, hashes) for text in of.ending("/METADATA").values()]
    packages += [found.interpreter(text) for text in of.ending("/patchlevel.h").values()]
    return sorted(packages, key=lambda package: (package.kind, package.name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
