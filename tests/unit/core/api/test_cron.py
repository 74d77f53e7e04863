from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.api.cron import cron

PARIS, NEW_YORK = "Europe/Paris", "America/New_York"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "zone", "now", "last", "following"),
    [
        pytest.param(
            "0 8 * * *", "UTC", "2026-11-23T08:00:00", "2026-11-23T08:00:00", "2026-11-24T08:00:00", id="just fires"
        ),
        pytest.param(
            "0 8 * * *", "UTC", "2026-11-23T07:59:59", "2026-11-22T08:00:00", "2026-11-23T08:00:00", id="just before"
        ),
        pytest.param(
            "0 8 * * MON-FRI",
            PARIS,
            "2026-11-22T12:00:00",
            "2026-11-20T07:00:00",
            "2026-11-23T07:00:00",
            id="at the weekend",
        ),
        pytest.param(
            "0 8 * * *", PARIS, "2026-07-01T12:00:00", "2026-07-01T06:00:00", "2026-07-02T06:00:00", id="summer time"
        ),
        pytest.param(
            "0 0 29 2 *", "UTC", "2026-11-23T00:00:00", "2024-02-29T00:00:00", "2028-02-29T00:00:00", id="leap days"
        ),
        # On 2026-03-29 Paris goes from 02:00 to 03:00: 02:30 does not exist.
        pytest.param(
            "30 2 * * *",
            PARIS,
            "2026-03-29T00:59:59",
            "2026-03-28T01:30:00",
            "2026-03-29T01:00:00",
            id="before a time that is skipped",
        ),
        pytest.param(
            "30 2 * * *",
            PARIS,
            "2026-03-29T01:00:00",
            "2026-03-29T01:00:00",
            "2026-03-30T00:30:00",
            id="a skipped time fires right after",
        ),
        # On 2026-10-25 Paris goes from 03:00 back to 02:00: 02:30 is 00:30 UTC and again 01:30 UTC.
        pytest.param(
            "30 2 * * *",
            PARIS,
            "2026-10-25T01:15:00",
            "2026-10-25T00:30:00",
            "2026-10-26T01:30:00",
            id="the hour comes again, before",
        ),
        pytest.param(
            "30 2 * * *",
            PARIS,
            "2026-10-25T01:45:00",
            "2026-10-25T00:30:00",
            "2026-10-26T01:30:00",
            id="a time that comes twice fires once",
        ),
        pytest.param(
            "0 2 * * *",
            NEW_YORK,
            "2026-03-08T07:00:00",
            "2026-03-08T07:00:00",
            "2026-03-09T06:00:00",
            id="the same in New York",
        ),
    ],
)
def test_firings_around_a_moment(expression: str, zone: str, now: str, last: str, following: str) -> None:
    times = cron(expression, zone)
    assert (times.last(utc(now)), times.next(utc(now))) == (utc(last), utc(following))


def test_a_firing_is_reported_in_its_own_time_zone() -> None:
    times = cron("0 8 * * *", PARIS)
    assert times.text(times.next(utc("2026-07-23T12:00:00"))) == "2026-07-24 08:00 Europe/Paris"


@given(
    st.sampled_from(["30 2 * * *", "0 8 * * MON-FRI", "*/20 * * * *", "15 1,2,3 * * *", "0 */6 1 * *"]),
    st.sampled_from([PARIS, NEW_YORK, "UTC", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds it
    st.integers(0, 10**6),
)
def test_a_moment_lies_between_its_firings_wherever_the_clocks_stand(
    expression: str, zone: str, now: datetime, later: int
) -> None:
    times = cron(expression, zone)
    before, after = times.last(now), times.next(now)
    assert before <= now < after
    assert times.last(after) == after
    assert times.next(before) == after
    moments = [times.last(now + timedelta(seconds=step)) for step in (0, later, later + 1)]
    assert all(one <= other for one, other in pairwise(moments))


@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        pytest.param("0 8 * *", "UTC", "five fields", id="four fields"),
        pytest.param("0 0 8 * * *", "UTC", "five fields", id="with seconds"),
        pytest.param("0 25 * * *", "UTC", "invalid hour", id="hour 25"),
        pytest.param("0 8 * * FOO", "UTC", "invalid day-of-week", id="no such day"),
        pytest.param("0 0 30 2 *", "UTC", "invalid day-of-month", id="30 February"),
        pytest.param("0 8 * * *", "Mars/Base", "is not a time zone", id="no such zone"),
        pytest.param("0 8 * * *", "Europe", "is not a time zone", id="a folder of zones"),
        pytest.param("0 8 * * *", "../../etc/passwd", "is not a time zone", id="a path"),
        pytest.param("0 8 * * *", "", "is not a time zone", id="no zone"),
    ],
)
def test_what_is_wrong_is_said(expression: str, zone: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        cron(expression, zone)
