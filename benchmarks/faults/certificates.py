"""Certificates of a server on loopback: a good one, and those that a client must refuse."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: of the `authority` that clients trust, and of the server, each with its key.

    It signed the `good` one and the one that has `expired`; another authority signed the `unknown` one.
    """

    authority: Path
    good: Path
    expired: Path
    unknown: Path


def make(folder: Path) -> Certificates:
    """Make them all in a new `folder`."""
    folder.mkdir()
    for authority in ("authority", "stranger"):
        _openssl(folder, "req", "-x509", *_KEY, "-keyout", f"{authority}.key", "-out", f"{authority}.pem")
    return Certificates(
        folder / "authority.pem",
        good=_signed(folder, "good", "authority", days=1),
        expired=_signed(folder, "expired", "authority", days=-1),
        unknown=_signed(folder, "unknown", "stranger", days=1),
    )


def _signed(folder: Path, name: str, authority: str, days: int) -> Path:
    _openssl(folder, "req", *_KEY, "-keyout", "key", "-out", "request", "-addext", "subjectAltName=IP:127.0.0.1")
    by = ("-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-copy_extensions", "copy")
    _openssl(folder, "x509", "-req", "-in", "request", *by, "-days", str(days), "-out", "certificate")
    both = folder / f"{name}.pem"
    both.write_text((folder / "certificate").read_text() + (folder / "key").read_text())
    return both


def _openssl(folder: Path, command: str, *arguments: str) -> None:
    subject = ("-subj", "/CN=bench") if command == "req" else ()
    subprocess.run(("openssl", command, *arguments, *subject), cwd=folder, check=True, capture_output=True, timeout=60)
