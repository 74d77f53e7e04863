"""What is waited for is told once in the log, and at any time in /readyz."""

import logging

import pytest

from scalableapp.adapters.progress import Progress, Stage


@pytest.fixture
def progress(caplog: pytest.LogCaptureFixture) -> Progress:
    caplog.set_level(logging.INFO)
    return Progress()


@pytest.mark.parametrize("stage", Stage)
def test_only_one_that_stands_by_for_another_is_ready_without_acting(progress: Progress, stage: Stage) -> None:
    progress.waits(stage, "why")
    ready, words = progress.readiness()
    assert ready is (stage is Stage.STANDBY)
    assert words.startswith("waiting for ")
    assert words.endswith(": why")
    progress.acts()
    assert progress.readiness() == (True, "ready")


def test_many_attempts_are_one_line(progress: Progress, caplog: pytest.LogCaptureFixture) -> None:
    progress.waits(Stage.API)
    for attempt in range(100):
        progress.waits(Stage.API, f"timed out ({attempt})")
    assert caplog.messages == ["Waiting for the Kubernetes API", "Waiting for the Kubernetes API: timed out (0)"]
    assert progress.readiness()[1].endswith("timed out (99)")


def test_lists_that_are_tried_again_and_again_are_one_line(
    progress: Progress, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        progress.waits(Stage.LISTS)
        progress.waits(Stage.LISTS, "Kopf ended")
    assert len(caplog.messages) == 2


def test_the_wait_is_measured_from_its_beginning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    times = iter([0.0, 100.0, 107.5])
    progress = Progress(clock=lambda: next(times))
    progress.waits(Stage.API, "down")
    progress.waits(Stage.LISTS)
    progress.acts()
    assert caplog.messages[-1] == "The operator acts, after 7.5 s of waiting"


def test_what_is_waited_for_is_observed_once_per_change() -> None:
    seen: list[Stage | None] = []
    progress = Progress(seen.append)
    for stage in (Stage.API, Stage.API, Stage.CRD):
        progress.waits(stage, "why")
    progress.acts()
    assert seen == [Stage.API, Stage.CRD, None]


def test_a_lease_that_cannot_be_renewed_is_told_before_it_is_lost(
    progress: Progress, caplog: pytest.LogCaptureFixture
) -> None:
    progress.acts()
    for trouble in ("500", "timed out"):
        progress.troubled(trouble)
    assert progress.readiness() == (False, "the Lease cannot be renewed: timed out")
    progress.troubled("")
    assert progress.readiness() == (True, "ready")
    assert caplog.messages[-2:] == ["The Lease cannot be renewed: 500", "The Lease is renewed again"]


def test_namespaces_that_cannot_be_watched_are_told_while_the_others_are_served(
    progress: Progress, caplog: pytest.LogCaptureFixture
) -> None:
    progress.acts()
    progress.unwatched({"b": "forbidden"})
    progress.unwatched({"b": "forbidden"})
    assert progress.readiness() == (True, "waiting for namespace b: forbidden")
    progress.unwatched({})
    assert progress.readiness() == (True, "ready")
    assert sum("namespace b" in message.lower() for message in caplog.messages) == 2


def answers_come(progress: Progress, *seconds: float) -> None:
    for took in seconds:
        progress.answered(took)


def test_a_slow_api_server_is_told_once_and_so_is_its_end(progress: Progress, caplog: pytest.LogCaptureFixture) -> None:
    answers_come(progress, *[2.0] * 50)
    assert caplog.messages == ["The Kubernetes API takes 2.0 s to answer; each scaling is late by as much"]
    answers_come(progress, *[0.1] * 50)
    assert caplog.messages[1:] == ["The Kubernetes API answers within 1 s again"]


def test_single_slow_answers_are_no_news(progress: Progress, caplog: pytest.LogCaptureFixture) -> None:
    answers_come(progress, *[2.0, 2.0, 0.1] * 20)
    assert caplog.messages == []


def test_namespaces_that_cannot_be_watched_are_counted() -> None:
    counts: list[int] = []
    progress = Progress(count=counts.append)
    progress.unwatched({"one": "forbidden", "two": "forbidden"})
    progress.unwatched({})
    assert counts == [2, 0]
