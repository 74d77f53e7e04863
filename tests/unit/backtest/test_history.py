"""An app's past from a real Prometheus, whose blocks are written beforehand."""

import math
import time
from collections.abc import Iterator

import pytest

from scalableapp.backtest import history
from scalableapp.backtest.errors import OptionError, TraceError
from tests.prometheus_servers import Server, write_past

_END = int(time.time()) // 3600 * 3600 - 3600
_HOURS = 6
_HOLE = (_END - 3 * 3600, _END - 3 * 3600 + 1200)
_PODS = 4
_SECONDS = 30


def rate(at: float) -> float:
    """Requests per second and pod, between 15 and 25."""
    return 20 + 5 * math.sin(2 * math.pi * (at - _END) / 3600)


def lines() -> Iterator[str]:
    """Counters of four pods in OpenMetrics; a twentieth is slow at 30 requests/s and pod."""
    families: dict[str, list[str]] = {"http_requests": [], "http_request_duration_seconds": []}
    requests_, slow = 0.0, 0.0
    for at in range(_END - _HOURS * 3600, _END + 1, _SECONDS):
        requests_ += rate(at) * _SECONDS
        slow += rate(at) * _SECONDS * 0.05 * (rate(at) / 30) ** 8
        if _HOLE[0] <= at <= _HOLE[1]:
            continue
        for pod in range(_PODS):
            labels = f'namespace="shop",app="web",pod="web-{pod}"'
            families["http_requests"].append(f"http_requests_total{{{labels}}} {requests_} {at}")
            name = "http_request_duration_seconds"
            families[name].append(f'{name}_bucket{{{labels},le="0.25"}} {requests_ - slow} {at}')
            families[name].append(f'{name}_bucket{{{labels},le="+Inf"}} {requests_} {at}')
            families[name].append(f"{name}_count{{{labels}}} {requests_} {at}")
    for family, samples in families.items():
        yield f"# TYPE {family} {'counter' if family == 'http_requests' else 'histogram'}"
        yield from sorted(samples, key=lambda line: line.split()[0])  # by series, in order of time
    yield "# EOF"


@pytest.fixture(scope="module")
def url(promql_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    write_past(lines(), folder)
    with promql_server.running(folder) as url:
        yield url


class TestFromARealPrometheus:
    pytestmark = pytest.mark.process

    def test_the_load_is_the_sum_over_the_pods(self, url: str) -> None:
        trace, _ = history.load(history.Source(url, "shop/web"), 2 * 3600, now=_END)
        assert trace.name == "shop/web"
        assert trace.duration == pytest.approx(2 * 3600, abs=180)
        peak = trace.started_at + float(trace.seconds[trace.rates.argmax()])
        assert trace.rates.max() == pytest.approx(_PODS * 25, rel=0.03)
        assert rate(peak) == pytest.approx(25, abs=0.5)

    def test_what_is_missing_is_reported_with_its_range(self, url: str) -> None:
        _, notes = history.load(history.Source(url, "shop/web"), 8 * 3600, now=_END)
        assert len(notes) == 2
        assert notes[0].endswith("the back-test skips it")
        hole = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_HOLE[0] + 120))
        assert hole[:15] in notes[1]
        assert "it is interpolated" in notes[1]

    def test_capacity_is_learned_from_the_same_hours(self, url: str) -> None:
        source = history.Source(url, "shop/web")
        trace, _ = history.load(source, 5 * 3600, now=_END)
        assert history.capacity(source, trace) == pytest.approx(30, rel=0.1)

    def test_an_app_nobody_knows_is_reported_with_what_to_check(self, url: str) -> None:
        with pytest.raises(TraceError, match="check --app"):
            history.load(history.Source(url, "shop/other"), 3600, now=_END)

    def test_too_little_to_learn_from_is_reported(self, url: str) -> None:
        source = history.Source(url, "shop/web")
        trace, _ = history.load(source, 1800, now=_END)
        with pytest.raises(TraceError, match="fewer than 60; pass --pod-capacity"):
            history.capacity(source, trace)


def test_a_prometheus_that_does_not_answer_is_reported_with_its_address() -> None:
    with pytest.raises(TraceError, match=r"Prometheus at http://127\.0\.0\.1:9 did not answer"):
        history.load(history.Source("http://127.0.0.1:9", "shop/web"), 3600)


@pytest.mark.parametrize("app", ["web", "shop/", "shop/web/x", 'shop/web"}', "Shop/web"])
def test_an_app_is_named_by_namespace_and_name(app: str) -> None:
    with pytest.raises(OptionError, match="NAMESPACE/NAME"):
        history.load(history.Source("http://127.0.0.1:9", app), 3600)


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("12h", 43_200), ("7d", 604_800)])
def test_a_span_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert history.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["7", "d", "-1d", "0h", "1.5h"])
def test_another_span_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="12h or 7d"):
        history.seconds_of(text)
