"""Which request source each app has: the one that it names, the operator's default, or what its pods serve."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from scalableapp.core.api.metrics import Aggregate, Metric, MetricType
from scalableapp.core.api.presets import AUTO, DEFAULT, LOOKED_FOR, PRESETS, SIGNS, recognised
from scalableapp.core.api.request_source import RequestSource, Source, parse_source
from scalableapp.core.model import DataProblem
from scalableapp.engine.record import AppRecord
from scalableapp.ports import LookedFor, Refusal, ServedBy, Snapshot

_SHIPPED = {name: Source(name, preset.source, preset.advice) for name, preset in PRESETS.items()}
_DEFAULT_SOURCE = PRESETS[DEFAULT].source
_NO_NAME = f"{AUTO} stands for what an app's pods serve; give the RequestSource another name"
_GUESS = ""
# Apps may name what does not exist.
_MOST_NAMES = 1000
_FIELD = "spec.monitoring.requests"


@dataclass(frozen=True, slots=True)
class Chosen:
    """An app's source, or why it has none.

    `further` is the source, if it is another than the one that is always asked for; `per_app`: it counts for the app
    as a whole; `guessed`: nothing that the app's pods serve was recognised.
    """

    found: Source | None = None
    problem: Refusal | None = None
    further: RequestSource | None = None
    per_app: bool = False
    guessed: bool = False

    @classmethod
    def of(cls, found: Source) -> Self:
        """That source."""
        source = found.source
        return cls(found, further=None if source == _DEFAULT_SOURCE else source, per_app=source.per_app)

    @property
    def buckets(self) -> str:
        """The metric of its histogram."""
        duration = self.found.source.duration if self.found else None
        return f"{duration.metric}_bucket" if duration else "histogram"

    def answers(self, snapshot: Snapshot) -> Snapshot | None:
        """Prometheus' answers on the requests; None if it has not been asked yet."""
        return snapshot if self.further is None else snapshot.sources.get(self.further)

    def unfit(self, metric: Metric) -> Refusal | None:
        """Why the source cannot serve the metric, if so: what to do instead."""
        if self.found is None or metric.type not in _OF_REQUESTS:
            return self.problem if metric.type in _OF_REQUESTS else None
        if metric.type is MetricType.LATENCY and self.found.source.duration is None:
            return _unfit(f"request source {self.found.name} has no histogram of durations; {self.found.advice}")
        if self.per_app and metric.aggregate is Aggregate.PERCENTILE:
            return _unfit(
                f"request source {self.found.name} counts per app, so there is no percentile over pods; remove "
                "aggregate, or choose a source that counts per pod"
            )
        if not self.per_app and metric.type is MetricType.REQUESTS_PER_SECOND and metric.activation_target is not None:
            return _unfit(
                f"request source {self.found.name} counts per pod, and without pods it says nothing; remove "
                "activationTarget, or choose a source that counts per app, such as an ingress controller's"
            )
        return None

    def unfit_for_objective(self) -> Refusal | None:
        """Why no objective can be judged by the source, if so."""
        if self.found is None:
            return self.problem
        if self.found.source.duration is None:
            return _unfit(f"request source {self.found.name} has no histogram of durations; {self.found.advice}")
        if self.found.source.failed is None:
            return _unfit(f"request source {self.found.name} does not tell which requests failed; add failed to it")
        return None


_OF_REQUESTS = {MetricType.REQUESTS_PER_SECOND, MetricType.LATENCY}


def _unfit(message: str) -> Refusal:
    return DataProblem.UNSUITABLE_SOURCE, message


DEFAULT_SOURCE = Chosen.of(_SHIPPED[DEFAULT])


class Sources:
    """The sources by name: those of the operator, replaced and added to by the RequestSources of the cluster.

    `default` is the one of apps that name none; AUTO stands for what their pods serve.
    """

    def __init__(self, default: str = AUTO) -> None:
        self._default = default
        self._own: dict[str, Source | str] = {}
        self._chosen: dict[str, Chosen] = {}
        self._served: ServedBy | None = None

    def seen(self, body: Mapping[str, Any]) -> str:
        """A RequestSource was listed, added or changed. Returns what is wrong with it, "" if nothing."""
        name = body["metadata"]["name"]
        self._own[name] = _NO_NAME if name == AUTO else parse_source(name, body.get("spec"))
        self._chosen.clear()
        problem = self._own[name]
        return problem if isinstance(problem, str) else ""

    def gone(self, name: str) -> None:
        """A RequestSource was deleted; a preset of that name counts again."""
        self._own.pop(name, None)
        self._chosen.clear()

    def choose(self, record: AppRecord) -> Chosen:
        """The app's source."""
        name = (record.spec.monitoring.requests if record.spec else None) or self._default
        if name != AUTO:
            return self._named(name)
        if len(record.recognised) > 1:
            both = " and ".join(record.recognised)
            message = f"its pods serve the request metrics of {both}; name the one that counts in {_FIELD}"
            return Chosen(problem=(DataProblem.AMBIGUOUS_REQUESTS, message))
        return self._named(record.recognised[0]) if record.recognised else self._guess()

    def looked_for(self, records: Iterable[AppRecord]) -> LookedFor:
        """What to look for among the metrics of the apps that name no source."""
        namespaces = {record.key.namespace for record in records if self._automatic(record)}
        return LookedFor(frozenset(namespaces), SIGNS)

    def served(self, served: ServedBy | None, records: Iterable[AppRecord]) -> None:
        """Take in what pods serve. Where an app's serve nothing that is known, what was recognised before remains."""
        if served is None or served is self._served:
            return
        self._served = served
        for record in filter(self._automatic, records):
            pods = (served.get((record.key.namespace, name), frozenset()) for name in record.pods)
            record.recognised = recognised(frozenset().union(*pods)) or record.recognised

    def _automatic(self, record: AppRecord) -> bool:
        stated = record.spec.monitoring.requests if record.spec else None
        return record.needs_requests and (stated or self._default) == AUTO

    def _guess(self) -> Chosen:
        if _GUESS not in self._chosen:
            self._chosen[_GUESS] = replace(self._looked_up(DEFAULT), guessed=True)
        return self._chosen[_GUESS]

    def _named(self, name: str) -> Chosen:
        if name not in self._chosen:
            if len(self._chosen) >= _MOST_NAMES:
                self._chosen.clear()
            self._chosen[name] = self._looked_up(name)
        return self._chosen[name]

    def _looked_up(self, name: str) -> Chosen:
        found = self._own.get(name, _SHIPPED.get(name))
        if isinstance(found, Source):
            return Chosen.of(found)
        if found is None:
            message = f"there is no request source {name}; create the RequestSource, or correct {_FIELD}"
        else:
            message = f"RequestSource {name} is wrong: {found}; correct it"
        return Chosen(problem=(DataProblem.UNKNOWN_SOURCE, message))


def recognised_before(status: Mapping[str, Any]) -> tuple[str, ...]:
    """The preset that status says was recognised before a restart, if any."""
    requests = status.get("requests")
    name = requests.get("source") if isinstance(requests, Mapping) else None
    return (name,) if isinstance(name, str) and name in LOOKED_FOR else ()
