"""What is applied reaches the API server, which reads it as YAML 1.1, character by character."""

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.adapters.kube_api import as_yaml


@given(text=st.text())
def test_any_text_is_read_back_as_it_was(text: str) -> None:
    assert yaml.safe_load(as_yaml({"value": text})) == {"value": text}
    assert json.loads(as_yaml([text])) == [text]


def test_every_character_is_read_back_as_it_was() -> None:
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    assert json.loads(as_yaml(every)) == every
    lines = ["".join(every[start : start + 256]) for start in (0, 0x2000, 0xD700, 0xF000, 0x1F000 - 0x800)]
    assert yaml.safe_load(as_yaml(lines)) == lines


def test_no_surrogate_pair_is_written() -> None:
    assert as_yaml({"a": "Hello 🌍 é\x85\\ud83c"}) == '{"a": "Hello 🌍 \\u00e9\\u0085\\\\ud83c"}'
