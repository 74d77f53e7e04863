import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from typing import Any

import pytest
from kubernetes.client import ApiClient

from demo import run as run_module
from demo.errors import DemoError
from demo.plan import Plan
from demo.recording import LoadSample, Recording
from demo.run import App, run

APP = App("default", "sample-app", "http://127.0.0.1:8080")


@dataclass
class Sending:
    """A generator that runs for a number of questions."""

    left: int
    began: float = 0.0

    @property
    def running(self) -> bool:
        self.left -= 1
        return self.left >= 0


def stage(monkeypatch: pytest.MonkeyPatch, seconds: int, *manifests: dict[str, Any], last: LoadSample) -> None:
    """Puts a watch that tells `manifests` and a generator that tells one sample at its end in the real ones' place."""

    @contextmanager
    def watching(_api: ApiClient, _namespace: str, _name: str, seen: Queue[Any]) -> Iterator[None]:
        for manifest in manifests:
            seen.put((time.monotonic(), manifest))
        yield

    @contextmanager
    def load(_url: str, _host: str | None, _plan: Plan, seen: Queue[Any]) -> Iterator[Sending]:
        yield Sending(seconds, time.monotonic())
        seen.put(last)

    monkeypatch.setattr(run_module, "watching", watching)
    monkeypatch.setattr(run_module, "load", load)
    monkeypatch.setattr(run_module, "TICK_SECONDS", 0.01)


DEPLOYMENT = {"kind": "Deployment", "spec": {"replicas": 2}, "status": {"readyReplicas": 1}}
LAST = LoadSample(3.0, 0, (5.0,))


def test_a_run_keeps_what_the_watch_and_the_generator_told(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    stage(monkeypatch, 3, DEPLOYMENT, last=LAST)
    shown: list[float] = []

    recording = run(APP, plan, ApiClient(), lambda _recording, at: shown.append(round(at, 2)))

    assert (recording.state.replicas, recording.state.ready) == (2, 1)
    assert shown == [0.01, 0.02, 0.03]


def test_what_the_generator_shows_while_it_stops_is_kept(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    stage(monkeypatch, 1, DEPLOYMENT, last=LAST)

    assert run(APP, plan, ApiClient(), lambda *_: None).load == [LAST]


def test_a_run_ends_early_when_the_replicas_are_back(
    monkeypatch: pytest.MonkeyPatch, plan: Plan, good_run: Recording
) -> None:
    stage(monkeypatch, 10_000, DEPLOYMENT, last=LAST)
    shown: list[float] = []

    run(APP, plan, ApiClient(), lambda _recording, at: shown.append(at), lambda _recording, _plan, at: at > 0.05)

    assert len(shown) < 10


def test_an_app_that_cannot_be_seen_ends_the_run(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    stage(monkeypatch, 10_000, last=LAST)
    monkeypatch.setattr(run_module, "FIRST_SEEN_SECONDS", 0.05)

    with pytest.raises(DemoError, match="no data about ScalableApp default/sample-app"):
        run(APP, plan, ApiClient(), lambda *_: None)
