"""Runs a block's commands as a reader would type them."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.docs.pages import ROOT, Block

# A first import of the operator on a busy machine takes seconds; nothing that is run takes a minute.
_PATIENCE_SECONDS = 120
_MARK = "printed by the command above"


def scratch_copy(folder: Path) -> None:
    """The repository as `folder`: what a command writes at its top does not reach the real one."""
    for entry in ROOT.iterdir():
        (folder / entry.name).symlink_to(entry)


def run(block: Block, folder: Path, programs: Sequence[Path] = (), **variables: str) -> None:
    """Run the commands in one shell, as one script that ends at the first failure; compare if the block says so."""
    script = "\n".join(["set -eo pipefail", *(_told(command.line) for command in block.commands)])
    path = os.pathsep.join([*map(str, programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment: Mapping[str, str] = {**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "200", **variables}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}: exit status {done.returncode}\n{done.stdout}"
    if block.compared:
        printed = done.stdout.split(f"{_MARK}\n")
        for command, output in zip(block.commands, printed, strict=False):
            compare(command.shown, output, f"{block.place}: $ {command.line}")


def compare(shown: Sequence[str], printed: str, what: str) -> None:
    """Each line shown is printed, in this order; spaces count as one, ... stands for anything."""
    lines = iter([_plain(line) for line in printed.splitlines()])
    for line in filter(None, map(_plain, shown)):
        if line == "...":
            continue
        pattern = re.compile(".*".join(map(re.escape, line.split("..."))))
        assert any(pattern.fullmatch(candidate) for candidate in lines), (
            f"{what}\nis shown to print   {line}\nbut prints\n{printed}"
        )


def _told(command: str) -> str:
    return f"{command}\necho '{_MARK}'"


def _plain(line: str) -> str:
    return " ".join(line.split())
