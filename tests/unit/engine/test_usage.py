"""Sizes are not decided on what a few pods used, or on what was measured before scrapes were missed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import AppKey, DataProblem, PodState
from scalableapp.core.size import Amount, Resource, Size
from scalableapp.engine.facts import DeploymentFacts
from scalableapp.engine.podtimes import date_pods
from scalableapp.engine.record import AppRecord, Child
from scalableapp.engine.registry import Registry
from scalableapp.engine.usage import _Answers, usage_of
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


def record_of(names: list[str], replicas: int) -> tuple[AppRecord, Registry]:
    registry = Registry()
    key = AppKey("shop", "web")
    registry.app_seen(
        {
            "metadata": {"namespace": "shop", "name": "web", "uid": "u", "generation": 1},
            "spec": {"image": "web:1", "scaling": {"mode": "Vertical"}},
        }
    )
    record = registry.get(key)
    assert record
    record.deployment = DeploymentFacts(1, replicas, running=replicas, updated=replicas, ready=replicas)
    record.children[record.deployment_id] = Child("u", 0, None)
    record.sizing.size = Size(Amount(0.3, None), Amount(2.0**28, None))
    record.pods = {name: PodState(name, "Running", True, False, SINCE, SINCE) for name in names}
    values = {("shop", name): 0.2 for name in names}
    peaks = dict.fromkeys(values, 2.0**20)
    registry.snapshot = Snapshot(
        NOW, {MetricType.CPU: PodAnswer(values)}, usage={UsageMetric.MEMORY_PEAK: PodAnswer(peaks)}
    )
    return record, registry


def test_nothing_is_learned_while_pods_are_not_known() -> None:
    record, registry = record_of(["web-0", "web-1"], replicas=6)
    usage = usage_of(record, registry, NOW, timedelta(seconds=25), in_place=False)
    assert usage
    assert (usage.per_pod, usage.unsettled) == (
        {},
        "4 pods differ between the Deployment and those that the operator knows",
    )


@pytest.mark.parametrize(("seconds", "why"), [(20, "1 pod left in the last 60 s"), (70, "")])
def test_nothing_is_learned_before_the_others_show_what_a_pod_carried_that_left(seconds: float, why: str) -> None:
    record, registry = record_of(["web-0", "web-1"], replicas=2)
    left = NOW - timedelta(seconds=seconds)
    record.removed_pods["web-2"] = PodState("web-2", "Running", False, True, SINCE, SINCE, left_at=left)
    usage = usage_of(record, registry, NOW, timedelta(seconds=25), in_place=False)
    assert usage
    assert (usage.unsettled, bool(usage.per_pod)) == (why, not why)


@pytest.mark.parametrize(("without", "thin"), [(0, ""), (1, "1 of 3 pods has no sample"), (2, "2 of 3 pods have no")])
def test_pods_without_samples_are_counted(without: int, thin: str) -> None:
    record, registry = record_of(["web-0", "web-1", "web-2"], replicas=3)
    assert registry.snapshot
    cpu = registry.snapshot.kinds[MetricType.CPU]
    fewer = {pod: value for pod, value in cpu.values.items() if pod[1] not in ("web-0", "web-1")[:without]}
    registry.snapshot = replace(registry.snapshot, kinds={MetricType.CPU: PodAnswer(fewer)})
    usage = usage_of(record, registry, NOW, timedelta(seconds=25), in_place=False)
    assert usage
    assert usage.thin.startswith(thin)
    assert bool(usage.thin) == bool(thin)
