"""The real core in the simulator."""

from typing import Any

import numpy as np
import pytest

from scalableapp.backtest.baselines import Hpa, request_rate
from scalableapp.backtest.errors import OptionError
from scalableapp.backtest.load import Noise, arrivals
from scalableapp.backtest.ours import Ours, check_replayable
from scalableapp.backtest.score import score
from scalableapp.backtest.service import Floats
from scalableapp.backtest.simulator import Bounds, Run, World, simulate
from scalableapp.core.api.spec import ScalableAppSpec, parse_spec

RPS = {"type": "RequestsPerSecond", "target": "20"}


def spec(*metrics: dict[str, str]) -> ScalableAppSpec:
    horizontal = {"minReplicas": 2, "maxReplicas": 30, "metrics": list(metrics)}
    return parse_spec({"image": "app:1", "scaling": {"horizontal": horizontal}})


def two_hours(seed: int = 1) -> Floats:
    seconds = np.arange(7200)
    return arrivals(200 - 150 * np.cos(2 * np.pi * seconds / 3600), Noise(seed=seed))


def world() -> World:
    return World(bounds=Bounds(2, 30), startup_seconds=20)


def test_with_hpas_defaults_the_core_takes_hpas_steps() -> None:
    baseline = Hpa("hpa", request_rate(20, 30), interval_seconds=5, scrape_seconds=5)
    core, hpa = (simulate(two_hours(), policy, world()) for policy in (Ours(spec(RPS)), baseline))
    assert abs(core.replicas.sum() - hpa.replicas.sum()) < 0.01 * hpa.replicas.sum()
    assert np.mean(core.replicas == hpa.replicas) > 0.9
    assert core.replicas.max() > 3 * core.replicas.min()


def test_cpu_of_a_pod_follows_what_it_serves() -> None:
    run = simulate(two_hours(), Ours(spec({"type": "CPU", "target": "500m"})), world())
    wanted = 350 / (0.5 * world().service.rate)
    assert wanted * 0.9 <= run.replicas.max() <= wanted * 1.4


OBJECTIVE = {"latency": {"quantile": 0.95, "seconds": 0.3}, "badMinutesPercent": 0.5}


def with_horizontal(**fields: Any) -> ScalableAppSpec:
    return parse_spec({"image": "app:1", "scaling": {"horizontal": {"minReplicas": 2, "maxReplicas": 30, **fields}}})


def test_an_objective_finds_out_what_a_pod_carries_and_needs_fewer_than_a_tuned_target() -> None:
    """Two calm days as the trace: the objective ends near the fewest pods that keep it, without knowing the pod."""
    load = arrivals(np.full(6 * 3600, 400.0), Noise())
    run = simulate(load, Ours(with_horizontal(objective=OBJECTIVE)), world())
    fewest = 400 / world().service.capacity
    settled = run.replicas[-3600:]
    assert fewest <= settled.mean() < 1.35 * fewest
    assert score(run, 0.05, skip_seconds=3600).bad_percent <= 1.0


def test_a_burst_window_sees_sudden_load_sooner() -> None:
    load = np.where(np.arange(1800) < 900, 40.0, 240.0)
    ready = [
        int(np.argmax(simulate(load, Ours(app), world()).replicas >= 8))
        for app in (with_horizontal(metrics=[RPS]), with_horizontal(metrics=[RPS], burst={}))
    ]
    assert 900 < ready[1] < ready[0]


def test_the_same_load_gives_the_same_run() -> None:
    runs: list[Run] = [simulate(two_hours(), Ours(spec(RPS)), world()) for _ in range(2)]
    assert np.array_equal(runs[0].replicas, runs[1].replicas)


def test_what_a_load_curve_does_not_show_is_refused_with_the_metrics_name() -> None:
    query = {"type": "Prometheus", "name": "queue", "target": "5", "query": "sum(q)"}
    with pytest.raises(OptionError, match="queue"):
        check_replayable(spec(RPS, query))
