"""The table of request sources has what the operator has."""

import pytest

from scalableapp.core.api.presets import LOOKED_FOR, PRESETS
from tests.docs.pages import ROOT

ROWS = {
    cells[0].strip("`"): cells
    for line in (ROOT / "docs" / "requests.md").read_text().splitlines()
    if (cells := [cell.strip() for cell in line.strip("|").split("|")]) and line.startswith("| `")
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_its_row(name: str) -> None:
    source = PRESETS[name].source
    _, _, counter, histogram, per, recognised, _ = ROWS[name]
    assert counter == f"`{source.requests}`"
    assert histogram == (f"`{source.duration.metric}` ({source.duration.unit})" if source.duration else "none")
    assert (per, recognised) == (source.per, "yes" if name in LOOKED_FOR else "by name")


def test_there_is_no_other_row() -> None:
    assert ROWS.keys() == PRESETS.keys()
