"""What is in an image: its files as a container would see them, and how much of it there is."""

import hashlib
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

from .console import ClusterError
from .shell import run

_CHUNK_BYTES = 1 << 20


class Entry(NamedTuple):
    """A file, folder or link: type (as in tar), permissions, owner and group, target of a link, SHA-256 of a file."""

    type: str
    mode: str
    owner: str
    link: str
    sha256: str


def tree(archive: tarfile.TarFile) -> dict[str, Entry]:
    """Path -> entry for all that an archive holds; times are left out."""
    return {member.name: _entry(archive, member) for member in archive}


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    content = archive.extractfile(member) if member.isreg() else None
    digest = hashlib.file_digest(content, "sha256").hexdigest() if content else ""  # type: ignore[arg-type]  # a reader
    owner = f"{member.uid}:{member.gid}"
    return Entry(member.type.decode(), f"{member.mode:o}", owner, member.linkname, digest)


def differences(first: dict[str, Entry], second: dict[str, Entry]) -> list[str]:
    """One line for each path that is not the same in both, in the order of the paths."""
    lines = []
    for path in sorted(first.keys() | second.keys()):
        one, two = first.get(path), second.get(path)
        if one is None or two is None:
            lines.append(f"{path}: only in the {'second' if one is None else 'first'}")
        elif one != two:
            fields = (name for name, a, b in zip(Entry._fields, one, two, strict=True) if a != b)
            lines.append(
                f"{path}: {', '.join(f'{name} {getattr(one, name)} / {getattr(two, name)}' for name in fields)}"
            )
    return lines


@contextmanager
def exported(reference: str) -> Iterator[tarfile.TarFile]:
    """The files of an image as a tar archive that is read once, from front to back. Raises ClusterError."""
    container = run("docker", "create", reference, "none").strip()
    try:
        with _output_of("docker", "export", container) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            yield archive
    finally:
        run("docker", "rm", container)


def compressed_bytes(reference: str) -> int:
    """What an image weighs on its way to a cluster: its archive as gzip makes it."""
    packer, total = zlib.compressobj(), 0
    with _output_of("docker", "save", reference) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            total += len(packer.compress(chunk))
    return total + len(packer.flush())


@contextmanager
def _output_of(*command: str) -> Iterator[IO[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout  # noqa: S101 - for mypy: a pipe was asked for
        yield process.stdout
        # The reader may have had enough before the end; the writer must not wait for ever.
        while process.stdout.read(_CHUNK_BYTES):
            pass
    if process.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed with exit code {process.returncode}.")
