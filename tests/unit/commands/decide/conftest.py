"""The command as a function of its lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from scalableapp.commands.cli import main


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*lines: Any, options: tuple[str, ...] = ()) -> tuple[int, list[dict[str, Any]]]:
        file = tmp_path / "lines.jsonl"
        file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        status = main(["decide", str(file), *options])
        return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run
