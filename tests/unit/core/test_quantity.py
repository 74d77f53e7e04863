"""Quantities read as Kubernetes reads them and are written as people read them."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from kubernetes.utils import quantity as kubernetes_quantity

from scalableapp.core.quantity import canonical_quantity, format_cpu, format_number, parse_duration, parse_quantity

reference: Any = kubernetes_quantity.parse_quantity  # the client has no types here

SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]


@given(number=st.integers(0, 10**6), suffix=st.sampled_from(SUFFIXES))
def test_a_quantity_is_read_as_the_kubernetes_client_reads_it(number: int, suffix: str) -> None:
    value = reference(f"{number}{suffix}")
    assume(value < 2**63)
    assert parse_quantity(f"{number}{suffix}") == pytest.approx(float(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250m", 0.25),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1E3", 1000.0),
        ("2E", 2e18),
        ("1Gi", 2.0**30),
        (3, 3.0),
    ],
    ids=str,
)
def test_a_quantity_may_have_a_fraction_an_exponent_or_a_suffix(text: str | int, value: float) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", "m", "1 Gi", "1mi", "0x1", "1e9999", "nan", "inf", "1m5", "\u0661", "1" * 65], ids=repr
)
def test_what_is_no_quantity_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity such as"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["8Ei", "1e30", "-1e30", "0.1n", "1e-300"], ids=repr)
def test_what_the_api_server_would_cut_or_round_up_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is outside of what a quantity can hold"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [("1n", "1m"), ("7Ei", "7Ei"), ("8Ei", "9223372036854775807"), ("1e3", "1k"), ("0", "0")],
    ids=str,
)
def test_a_quantity_is_written_as_the_api_server_writes_it_back(text: str, written: str) -> None:
    assert canonical_quantity(text) == written
    assert canonical_quantity(written) == written


@pytest.mark.parametrize(("text", "seconds"), [("250ms", 0.25), ("1.5s", 1.5), ("2m", 120.0), ("1h", 3600.0)], ids=str)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["5", "5 s", "-1s", "1d", "", f"{'1' * 65}s"], ids=repr)
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as"):
        parse_duration(text)


@given(millis=st.integers(1, 10**7))
def test_cpu_survives_being_written_and_read(millis: int) -> None:
    assert parse_quantity(format_cpu(millis / 1000)) == pytest.approx(millis / 1000)


@given(value=st.floats(-1e12, 1e12, allow_nan=False))
def test_a_number_is_written_close_to_what_it_is_and_without_exponent(value: float) -> None:
    text = format_number(value)

    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=6e-3, abs=1e-6)
