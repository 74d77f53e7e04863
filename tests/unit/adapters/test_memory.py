import os
from pathlib import Path

import pytest

from scalableapp.adapters.memory import available_bytes

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
V1, V2 = "memory/memory.limit_in_bytes", "memory.max"


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (V2, "268435456\n", 2**28),
        (V2, "max\n", MACHINE),
        (V2, "9223372036854771712\n", MACHINE),
        (V2, "", MACHINE),
        (V1, "268435456\n", 2**28),
        (V1, "9223372036854771712\n", MACHINE),
        ("none", "", MACHINE),
    ],
    ids=[
        "a limit",
        "no limit",
        "a limit above the machine",
        "an empty file",
        "a limit in version 1",
        "no limit in version 1",
        "no cgroups",
    ],
)
def test_memory_is_that_of_the_container_or_the_machine(tmp_path: Path, file: str, text: str, expected: int) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    assert available_bytes(tmp_path) == expected
