import pytest

from scalableapp.core.api.scaling import Scaling
from scalableapp.core.horizontal.decide import decide
from scalableapp.core.horizontal.interval import due
from scalableapp.core.model import History
from tests.unit.core.build import NOW, ago, app, observe


@pytest.mark.parametrize(
    ("interval", "seconds_ago", "expected"),
    [
        pytest.param(None, 0.1, True, id="no interval: always"),
        pytest.param(30, None, True, id="never decided on"),
        pytest.param(30, 29.4, False, id="not yet"),
        pytest.param(30, 29.6, True, id="a moment early"),
        pytest.param(30, 90, True, id="late"),
        pytest.param(30, -5, True, id="the clock was put back"),
    ],
)
def test_an_app_is_due_after_its_interval(interval: int | None, seconds_ago: float | None, expected: bool) -> None:
    last = None if seconds_ago is None else ago(seconds_ago)
    assert due(Scaling(interval_seconds=interval), last, NOW) is expected


def test_an_app_with_an_interval_of_its_own_says_when_it_is_decided_on_again() -> None:
    decision = decide(app(intervalSeconds=300), observe(RequestsPerSecond=500), History())
    assert decision.steps[-1].message == "next decision in 5 m (12:11:35 UTC), as intervalSeconds is 300"
    assert decision.reason == "ScaleUpLimit"
    assert "next decision" not in decide(app(), observe(RequestsPerSecond=500), History()).message
