"""Usage while a run goes on, from a Prometheus that is asked through the API server."""

import json
import time
from queue import Queue
from typing import Any

import pytest

from demo import usage
from demo.recording import Usage


class Api:
    """Answers each query of a round in turn; None stands for an answer without series."""

    def __init__(self, *answers: float | None) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def param_serialize(self, method: str, path: str, auth_settings: list[str]) -> tuple[str, str]:
        assert (method, auth_settings) == ("GET", ["BearerToken"])
        self.asked.append(path)
        return method, path

    def call_api(self, *_: str, _request_timeout: float) -> "Api":
        return self

    def read(self) -> bytes:
        value = self.answers[(len(self.asked) - 1) % len(self.answers)]
        result = [] if value is None else [{"value": [0, str(value)]}]
        return json.dumps({"data": {"result": result}}).encode()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "POLL_SECONDS", 0.01)


def first_of(api: Api) -> Any:
    seen: Queue[Any] = Queue()
    with usage.measuring(api, "shop", "web", seen):  # type: ignore[arg-type] # as much of a client as is used
        return seen.get(timeout=10)


def test_the_busiest_and_the_largest_pod_count() -> None:
    api = Api(0.25, 90.0, 0.5)
    at, found = first_of(api)
    assert at > 0
    assert found == Usage(0.0, 0.25, 90.0, 0.5)
    assert all("web-" in path and path.startswith(usage.PROMETHEUS) for path in api.asked)


def test_pods_that_were_never_throttled_show_none() -> None:
    assert first_of(Api(0.25, 90.0, None))[1].throttled == 0.0


def test_without_usage_nothing_is_reported() -> None:
    seen: Queue[Any] = Queue()
    api = Api(None, 90.0, 0.5)
    with usage.measuring(api, "shop", "web", seen):  # type: ignore[arg-type] # as above
        end = time.monotonic() + 10
        while len(api.asked) < 6 and time.monotonic() < end:
            time.sleep(0.01)
    assert len(api.asked) >= 6
    assert seen.empty()
