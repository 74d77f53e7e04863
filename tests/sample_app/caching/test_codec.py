"""What is kept is JSON, and comes back as it was."""

import json
import pickle

import pytest
from flask import Response
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException, NotFound

from sample_app.caching.codec import AnswerSerializer, Entry

SERIALIZER = AnswerSerializer()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(value=JSON, until=st.floats(0, 1e12))
def test_plain_values_come_back(value: object, until: float) -> None:
    assert SERIALIZER.loads(SERIALIZER.dumps(Entry(value, until))) == Entry(value, until)


@given(body=st.binary(max_size=200), status=st.sampled_from([200, 301, 404]))
def test_responses_come_back_with_status_headers_and_any_bytes(body: bytes, status: int) -> None:
    response = Response(body, status, {"Content-Type": "image/png", "X-A": "ä"})
    entry = SERIALIZER.loads(SERIALIZER.dumps(Entry(response, 1.0)))
    assert entry
    assert (entry.value.get_data(), entry.value.status_code) == (body, status)
    assert list(entry.value.headers) == list(response.headers)


def test_errors_come_back_as_the_errors_they_were() -> None:
    entry = SERIALIZER.loads(SERIALIZER.dumps(Entry(NotFound("no such thing"), 1.0)))
    assert entry
    assert isinstance(entry.value, HTTPException)
    assert (entry.value.code, entry.value.description) == (404, "no such thing")


@pytest.mark.parametrize(
    "stored",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"value": 1}',
        b'{"fresh_until": "soon", "value": 1}',
        b'{"fresh_until": 1, "error": 999, "message": ""}',
        b'{"fresh_until": 1, "status": 200, "headers": [], "body": 5}',
        pickle.dumps({"value": 1}),
        b"\xff\xfe",
    ],
)
def test_what_cannot_be_read_is_a_miss(stored: bytes | None) -> None:
    assert SERIALIZER.loads(stored) is None


@given(stored=st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode()))
def test_nothing_that_somebody_put_there_makes_a_read_fail(stored: bytes) -> None:
    SERIALIZER.loads(stored)
