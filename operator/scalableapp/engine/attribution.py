"""Whose requests the series of a proxy count: each belongs to the app whose name its label has, or to none.

Two apps may lay claim to the same series where the label joins namespace and name without a mark between them, as in
`a-b-c-80@kubernetes`. Then neither gets it: what it counts would be another tenant's.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from scalableapp.core.api.request_source import ANY_NAMESPACE, RequestSource
from scalableapp.core.learning.latency import merged
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.ports import LatencyAnswer, PodAnswer, Refusal, Snapshot

Place = tuple[str, str]
_T = TypeVar("_T")


class _Claim(NamedTuple):
    key: AppKey
    pattern: re.Pattern[str]


# Values come and go with routes; this many are a few MB.
_MOST_KNOWN = 100_000


class Claims:
    """Which of the `apps` lay claim to which values of a source's app label: by the names that their workloads have."""

    def __init__(self, source: RequestSource, apps: Mapping[AppKey, AppKey]) -> None:
        self.apps = apps
        self._any = not source.labels.namespace
        self._by_start: dict[tuple[str, str], list[_Claim]] = {}
        self._known: dict[Place, tuple[AppKey, ...]] = {}
        for key, workload in apps.items():
            namespace = ANY_NAMESPACE if self._any else key.namespace
            claim = _Claim(key, source.pattern(workload))
            self._by_start.setdefault((namespace, source.start(workload)), []).append(claim)

    def of(self, place: Place) -> tuple[AppKey, ...]:
        """The apps whose series these are: one, if all is well."""
        if place not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            namespace, value = place
            starts = (self._by_start.get((namespace, value[:length]), ()) for length in range(len(value) + 1))
            found = (claim.key for claims in starts for claim in claims if claim.pattern.fullmatch(value))
            self._known[place] = tuple(found)
        return self._known[place]


class Attribution:
    """Gives the apps their answers at each look. What an app is called is worked out once."""

    def __init__(self) -> None:
        self._claims: dict[RequestSource, Claims] = {}

    def of(self, snapshot: Snapshot, users: Mapping[RequestSource, Mapping[AppKey, AppKey]]) -> Snapshot:
        """The snapshot with the answers on each source per app given to those of its `users` whose series they are."""
        for source, apps in users.items():
            known = self._claims.get(source)
            if known is None or known.apps != apps:
                self._claims[source] = Claims(source, apps)
        self._claims = {source: self._claims[source] for source in users}
        sources = {
            source: attributed(found, self._claims[source]) if source in self._claims else found
            for source, found in snapshot.sources.items()
        }
        return replace(snapshot, sources=sources)


def attributed(snapshot: Snapshot, claims: Claims) -> Snapshot:
    """The answers on a source per app, with the app's namespace and name in the place of its labels."""
    return replace(
        snapshot,
        kinds={kind: _pods(answer, claims) for kind, answer in snapshot.kinds.items()},
        bursts={window: _pods(answer, claims) for window, answer in snapshot.bursts.items()},
        failures=_pods(snapshot.failures, claims) if snapshot.failures else None,
        latencies=_latencies(snapshot.latencies, claims) if snapshot.latencies else None,
    )


def _pods(answer: PodAnswer, claims: Claims) -> PodAnswer:
    return replace(
        answer,
        values=_by_app(answer.values, claims, sum),
        scrapes=_by_app(answer.scrapes, claims, _worst),
        refused=_refused(answer, answer.values.keys(), claims),
    )


def _latencies(answer: LatencyAnswer, claims: Claims) -> LatencyAnswer:
    return replace(
        answer,
        histograms=_by_app(answer.histograms, claims, merged),
        scrapes=_by_app(answer.scrapes, claims, _worst),
        refused=_refused(answer, answer.histograms.keys(), claims),
    )


def _by_app(of: Mapping[Place, _T], claims: Claims, together: Callable[[Sequence[_T]], _T]) -> dict[Place, _T]:
    found: dict[Place, list[_T]] = {}
    for place, value in of.items():
        for key in claims.of(place):
            found.setdefault((key.namespace, key.name), []).append(value)
    return {place: together(values) for place, values in found.items()}


def _refused(answer: PodAnswer | LatencyAnswer, seen: Iterable[Place], claims: Claims) -> dict[Place, Refusal]:
    """Apps of which any series is of no use, or is another's as well."""
    found = {(key.namespace, key.name): why for place, why in answer.refused.items() for key in claims.of(place)}
    for place in seen:
        keys = claims.of(place)
        if len(keys) > 1:
            names = " and ".join(map(str, sorted(keys)))
            message = f"the series of {place[1][:80]} may be those of {names}; rename one of them"
            found |= {(key.namespace, key.name): (DataProblem.DUPLICATE, message) for key in keys}
    return found


def _worst(scrapes: Sequence[Scrape]) -> Scrape:
    """The scrapes of several series, as those of the one that is scraped worst."""
    intervals = [scrape.interval for scrape in scrapes if scrape.interval is not None]
    ages = [scrape.age for scrape in scrapes if scrape.age is not None]
    window, gone = max(scrape.window for scrape in scrapes), any(scrape.gone for scrape in scrapes)
    return Scrape(max(intervals, default=None), max(ages, default=None), window, gone)
