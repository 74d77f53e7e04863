"""The images that the repository's Dockerfiles start FROM.

Where a registry answers they are pulled. Elsewhere they are made from Debian's packages, under the same names, so
that every Dockerfile is built unchanged. A base made here fetches packages as this machine does (same mirror, same
apt settings) and trusts the certificates it trusts: behind a proxy that inspects TLS, pip works in builds too.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

from . import docker, packages
from .console import ClusterError, say
from .settings import log_file
from .shell import run, run_with_progress, succeeds

PYTHON = "python:3.13-slim-trixie"
DEBIAN = {"debian:bookworm-slim": "bookworm", "debian:trixie-slim": "trixie"}

_PULL_SECONDS = 120.0
_BOOTSTRAP_SECONDS = 900.0
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_HOST_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_HOST_SHIPPED = Path("/usr/share/ca-certificates")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)

_SOURCES = """\
Types: deb
URIs: {mirror}
Suites: {suites}
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

# As in upstream's slim images: what is installed on top leaves no downloads, manuals or translations in its layer.
_APT_FOR_IMAGES = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
_UNREAD = ("doc", "info", "locale", "man")


def ensure(*references: str) -> None:
    """Makes the named base images available to the engine. Raises ClusterError when that fails."""
    for reference in references:
        if docker.has_image(reference):
            continue
        if docker.registry_answers():
            say("base image", f"pulling {reference}")
            docker.pull(reference, timeout=_PULL_SECONDS)
        else:
            say("base image", f"building {reference} from Debian packages, because no container registry answers")
            _make(reference)


def _make(reference: str) -> None:
    if reference == PYTHON:
        ensure("debian:trixie-slim")
        docker.build(reference, Path(__file__).parent / "python-image", topic="base image")
    else:
        _make_debian(reference, DEBIAN[reference])


def _make_debian(reference: str, suite: str) -> None:
    if os.geteuid() != 0:
        raise ClusterError(
            f"only root can build {reference} from Debian packages; run as root, or where a registry answers."
        )
    packages.need("debootstrap", "debootstrap")
    # On Ubuntu it may be missing, and debootstrap would go on without checking any signature.
    packages.need(_KEYRING, "debian-archive-keyring")
    with tempfile.TemporaryDirectory(prefix=f"scalableapp-{suite}-") as scratch:
        root = Path(scratch) / "root"
        mirrors = _host_mirrors()
        # It mounts /proc and /sys in there; in a mount namespace of its own they end with it, however it ends.
        command = ["unshare", "--mount", "debootstrap", "--variant=minbase", f"--keyring={_KEYRING}", suite, str(root)]
        if "main" in mirrors:
            command.append(mirrors["main"])
        run_with_progress("base image", *command, log=log_file(f"debootstrap-{suite}"), timeout=_BOOTSTRAP_SECONDS)
        _write_sources(root, suite, mirrors)
        _copy_host_trust(root)
        _slim(root)
        docker.import_root(root, reference)


def _host_mirrors() -> dict[str, str]:
    """This machine's Debian mirrors, `main` and `security`, as far as it has any (an Ubuntu machine has none)."""
    if not succeeds("apt-get", "--version"):
        return {}
    lines = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(ORIGIN) $(COMPONENT)").splitlines()
    return mirrors_from(lines)


def mirrors_from(index_targets: list[str]) -> dict[str, str]:
    """Picks the mirrors out of apt's index targets, one `URI CODENAME ORIGIN COMPONENT` a line."""
    mirrors: dict[str, str] = {}
    for uri, codename, origin, component in (line.split() for line in index_targets if len(line.split()) == 4):
        if origin == "Debian" and component == "main":
            mirrors.setdefault("security" if codename.endswith("-security") else "main", uri.rstrip("/"))
    return mirrors


def sources(suite: str, mirrors: dict[str, str]) -> str:
    """The text of debian.sources, with the stanzas the upstream image has."""
    text = _SOURCES.format(mirror=mirrors["main"], suites=f"{suite} {suite}-updates")
    if "security" in mirrors:
        text += "\n" + _SOURCES.format(mirror=mirrors["security"], suites=f"{suite}-security")
    return text


def _write_sources(root: Path, suite: str, mirrors: dict[str, str]) -> None:
    made_by_debootstrap = root / "etc/apt/sources.list"
    default = made_by_debootstrap.read_text().split()[1]
    made_by_debootstrap.unlink()
    (root / "etc/apt/sources.list.d/debian.sources").write_text(sources(suite, {"main": default, **mirrors}))
    acquire = [line for line in run("apt-config", "dump", "Acquire").splitlines() if "IndexTargets" not in line]
    (root / "etc/apt/apt.conf.d/90host").write_text("\n".join(acquire) + "\n")


def _copy_host_trust(root: Path) -> None:
    """Gives the image this machine's own certificate authorities, beside those Debian ships."""
    if not _HOST_BUNDLE.exists():
        return
    shipped = {pem for file in _HOST_SHIPPED.rglob("*.crt") for pem in certificates(file.read_text())}
    own = [pem for pem in certificates(_HOST_BUNDLE.read_text()) if pem not in shipped]
    folder = root / "usr/local/share/ca-certificates"
    folder.mkdir(parents=True, exist_ok=True)
    for number, pem in enumerate(own):
        (folder / f"host-{number}.crt").write_text(pem + "\n")
    # For programs that read the bundle before the ca-certificates package is there to make it.
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_HOST_BUNDLE, bundle)


def certificates(bundle: str) -> list[str]:
    """The PEM certificates of a bundle, without what stands around them."""
    return [pem.strip() for pem in _CERTIFICATE.findall(bundle)]


def _slim(root: Path) -> None:
    (root / "etc/apt/apt.conf.d/90image").write_text(_APT_FOR_IMAGES)
    excluded = "".join(f"path-exclude=/usr/share/{name}/*\n" for name in _UNREAD)
    (root / "etc/dpkg/dpkg.cfg.d/90image").write_text(f"{excluded}path-include=/usr/share/doc/*/copyright\n")
    for name in _UNREAD:
        for file in (root / "usr/share" / name).rglob("*"):
            if not file.is_dir() and file.name != "copyright":
                file.unlink()
    for pattern in ("var/lib/apt/lists/*", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb"):
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
