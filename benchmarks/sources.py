"""What request sources cost: CPU time of one look at thousands of apps, with one source and with four.

python -m benchmarks.sources

Prometheus' answers are ready in memory: benchmarks/answers.py and metrics.py measure what reading them costs.
"""

import gc
import sys
import time
from datetime import UTC, datetime, timedelta

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.presets import PRESETS
from scalableapp.core.api.request_source import RequestSource
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import AppKey, PodState
from scalableapp.engine.attribution import Attribution
from scalableapp.engine.facts import DeploymentFacts
from scalableapp.engine.needs import Needs
from scalableapp.engine.observe import observe
from scalableapp.engine.record import Child
from scalableapp.engine.registry import Registry
from scalableapp.ports import PodAnswer, Snapshot

_APPS, _PODS, _TICKS = 5_000, 5, 5
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_SCRAPE = Scrape(15.0, 5.0, 60.0)
_FOUR = ("default", "flask", "spring", "traefik")
_RPS = MetricType.REQUESTS_PER_SECOND


def main() -> int:
    """Measure and print."""
    print(f"{'sources':<36}{'apps':>6}{'choose s':>10}{'recognise s':>13}{'attribute s':>13}{'observe s':>11}")
    for names in (("default",), _FOUR):
        _measure(names)
    return 0


def _measure(names: tuple[str, ...]) -> None:
    registry = _registry(names)
    served = {
        (record.key.namespace, pod): frozenset({PRESETS[_name(names, number)].source.requests})
        for number, record in enumerate(registry.apps())
        for pod in record.pods
    }
    snapshot = _snapshot(registry, names)
    seconds, attribution, users = [0.0] * 4, Attribution(), _users(registry)
    attribution.of(snapshot, users)
    gc.collect()
    for _ in range(_TICKS):
        times = [time.process_time()]
        needs = Needs(registry.sources)
        for record in registry.apps():
            needs.add(record)
        request = needs.request(registry.sources.looked_for(registry.apps()))
        times.append(time.process_time())
        registry.sources.served(dict(served), registry.apps())
        times.append(time.process_time())
        registry.snapshot = attribution.of(snapshot, users)
        times.append(time.process_time())
        for record in registry.apps():
            observe(record, registry, _NOW, timedelta(seconds=25))
        times.append(time.process_time())
        seconds = [sum_ + after - before for sum_, before, after in zip(seconds, times, times[1:], strict=False)]
        assert len(request.sources) == len(names) - 1  # noqa: S101 - else something else is measured
    each = [total / _TICKS for total in seconds]
    choose, recognise, attribute, look = each
    print(
        f"{', '.join(names):<36}{_APPS:>6}{choose:>10.3f}{recognise:>13.3f}{attribute:>13.3f}{look:>11.3f}", flush=True
    )


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number % len(names)]


def _registry(names: tuple[str, ...]) -> Registry:
    registry = Registry()
    since = _NOW - timedelta(hours=1)
    for number in range(_APPS):
        key, name = AppKey(f"team-{number % 40}", f"app-{number}"), _name(names, number)
        metrics = [{"type": "RequestsPerSecond", "target": "25"}]
        spec = {"image": "benchmark", "scaling": {"horizontal": {"metrics": metrics}}}
        per_app = PRESETS[name].source.per_app
        spec |= {"monitoring": {"requests": name}} if per_app else {}
        metadata = {"namespace": key.namespace, "name": key.name, "uid": f"uid-{number}", "generation": 1}
        registry.app_seen({"metadata": metadata, "spec": spec})
        record = registry.get(key)
        assert record  # noqa: S101 - it was just seen
        record.pods = {
            pod.name: pod
            for pod in (PodState(f"{key.name}-{p}", "Running", True, False, since, since) for p in range(_PODS))
        }
        record.deployment = DeploymentFacts(1, _PODS, _PODS, _PODS, _PODS)
        record.children[record.deployment_id] = Child(record.uid, 0, None)
        record.recognised = () if per_app else (name,)
    return registry


def _snapshot(registry: Registry, names: tuple[str, ...]) -> Snapshot:
    found: dict[str, dict[tuple[str, str], float]] = {name: {} for name in names}
    for number, record in enumerate(registry.apps()):
        name, key = _name(names, number), record.key
        places = (
            [("*", f"{key.namespace}-{key.name}-80@kubernetes")]
            if PRESETS[name].source.per_app
            else [(key.namespace, pod) for pod in record.pods]
        )
        found[name] |= dict.fromkeys(places, 20.0)
    answers = {
        name: Snapshot(_NOW, {_RPS: PodAnswer(values, scrapes=dict.fromkeys(values, _SCRAPE))})
        for name, values in found.items()
    }
    further: dict[RequestSource, Snapshot] = {PRESETS[name].source: answers[name] for name in names[1:]}
    return Snapshot(_NOW, answers["default"].kinds, sources=further)


def _users(registry: Registry) -> dict[RequestSource, dict[AppKey, AppKey]]:
    """The apps of each source per app."""
    users: dict[RequestSource, dict[AppKey, AppKey]] = {}
    for record in registry.apps():
        source = registry.sources.choose(record).further
        if source and source.per_app:
            users.setdefault(source, {})[record.key] = record.key
    return users


if __name__ == "__main__":
    sys.exit(main())
