"""A short name for the content of a folder, which changes with any of it."""

import hashlib
from pathlib import Path


def of(*folders: Path, extra: str = "") -> str:
    """Twelve hex digits over the folders' files (names, content, execute bits), and over `extra`."""
    digest = hashlib.sha256(extra.encode())
    for folder in folders:
        for file in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            digest.update(f"{file.relative_to(folder)} {file.stat().st_mode & 0o111:o}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
