"""The folder in which the workers of one pod keep their metric values, so that any of them can add them up."""

import os
from collections.abc import MutableMapping
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
DEFAULT = "/tmp/prometheus"  # noqa: S108 - the one place a container with a read-only root may write


def prepare(environ: MutableMapping[str, str]) -> Path:
    """Name the folder in `environ`, make it and empty it of an earlier run's values.

    To be called before prometheus_client is imported, which reads the variable at import, and once per start:
    a container that restarts in its pod finds the files again, under process ids that are given anew.

    Raises:
        OSError: the folder cannot be made or emptied.
    """
    folder = Path(environ.setdefault(VARIABLE, DEFAULT))
    folder.mkdir(parents=True, exist_ok=True)
    for values in folder.glob("*.db"):
        values.unlink()
    return folder


def active() -> bool:
    """Whether this process shares its metrics with others."""
    return VARIABLE in os.environ
