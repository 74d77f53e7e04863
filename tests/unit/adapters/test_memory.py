import os
from pathlib import Path

import pytest

from scalableapp.adapters.memory import available_bytes

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("268435456\n", 2**28), ("max\n", MACHINE), ("9223372036854771712\n", MACHINE), ("", MACHINE), (None, MACHINE)],
    ids=["a limit", "no limit", "a limit above the machine", "an empty file", "no cgroups"],
)
def test_memory_is_that_of_the_container_or_the_machine(tmp_path: Path, text: str | None, expected: int) -> None:
    limit = tmp_path / "memory.max"
    if text is not None:
        limit.write_text(text)
    assert available_bytes(limit) == expected
