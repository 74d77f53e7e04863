"""Sizes are not decided on what a few pods used, or on what was measured before scrapes were missed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import AppKey, DataProblem, PodState
from scalableapp.core.size import Resource
from scalableapp.engine.record import AppRecord
from scalableapp.engine.timekeeping import date_pods
from scalableapp.engine.usage import _Answers
from scalableapp.ports import PodAnswer, Snapshot, UsageMetric

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SINCE = NOW - timedelta(hours=1)
FRESH, GONE = Scrape(15.0, 5.0, 60.0), Scrape(15.0, None, 60.0, gone=True)


def answers(cores: int, memory: int, **more: Any) -> _Answers:
    """Of an app of four pods, so many of which have a value for CPU and for memory."""
    record = AppRecord(AppKey("shop", "web"))
    names = [f"web-{number}" for number in range(4)]
    record.pods = {name: PodState(name, "Running", True, False, SINCE, SINCE) for name in names}
    date_pods(record, NOW)
    pods = [("shop", name) for name in names]
    cpu = PodAnswer(dict.fromkeys(pods[:cores], 0.2), **more)
    peaks = PodAnswer(dict.fromkeys(pods[:memory], 2.0**20))
    snapshot = Snapshot(NOW, {MetricType.CPU: cpu}, usage={UsageMetric.MEMORY_PEAK: peaks})
    return _Answers(record, snapshot, NOW, timedelta(seconds=25))


@pytest.mark.parametrize(
    ("cores", "memory", "problem"),
    [
        pytest.param(4, 4, None, id="all"),
        pytest.param(2, 2, None, id="half"),
        pytest.param(1, 4, DataProblem.PARTIAL, id="CPU of one"),
        pytest.param(4, 1, DataProblem.PARTIAL, id="memory of one"),
        pytest.param(0, 4, DataProblem.EMPTY, id="CPU of none"),
    ],
)
def test_usage_of_fewer_than_half_of_the_pods_is_partial(cores: int, memory: int, problem: DataProblem | None) -> None:
    found, message = answers(cores, memory).problem
    assert found is problem
    assert ("1 of 4 pods" in message) == (problem is DataProblem.PARTIAL)


def test_usage_of_pods_whose_scrapes_were_missed_does_not_count() -> None:
    scrapes = {("shop", f"web-{number}"): FRESH if number < 3 else GONE for number in range(4)}
    assert len(answers(4, 4, scrapes=scrapes).usage[Resource.CPU]) == 3


def test_duplicates_are_named() -> None:
    refused = {("shop", f"web-{number}"): (DataProblem.DUPLICATE, "several clusters") for number in range(4)}
    found, message = answers(0, 4, refused=refused).problem
    assert (found, "several clusters" in message) == (DataProblem.DUPLICATE, True)
