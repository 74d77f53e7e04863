"""Prometheus' answers as values that need no knowledge of JSON, and the warnings that come with them.

Much in an answer is the tenants': labels, and what their exporters count. A series that cannot be read costs only
itself, and never raises. Each becomes a value as soon as it is read, since JSON's own objects take several times the
memory of the text.
"""

import json
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from scalableapp.core.address import printable
from scalableapp.core.model import DataProblem

# Above this the clocks of Prometheus and the operator differ too much to compare times of samples and pods.
_LARGEST_SKEW_SECONDS = 30.0
_INFO, _WARNING = "promql info", "promql warning"
# Python reads more as a number, such as "1_0".
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|Inf)|NaN", re.ASCII)
_LATEST_TIME = 1e11  # far beyond any clock, and still a date


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant vector; a scalar has no labels."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The samples of an instant query and its Unix time, or why there are none to decide on.

    `unreadable` series have labels or values that no server sends; where the labels can be read the value is NaN.
    """

    samples: tuple[Sample, ...] = ()
    problem: DataProblem | None = None
    message: str = ""
    at: float = 0.0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a range query: pairs of Unix time and value, oldest first."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """The series of a range query, or why there are none to go by."""

    series: tuple[Series, ...] = ()
    problem: DataProblem | None = None
    message: str = ""


class TooManySeries(ValueError):
    """An answer has more series than are read."""


class Body:
    """The JSON of an answer, with a Sample or Series in the place of each series, None for one that cannot be read.

    `replica_labels` tell copies of a series apart; what they say is told by the label `replica`.
    Raises ValueError for what is not JSON, and TooManySeries.
    """

    def __init__(self, text: bytes | bytearray, most_series: int, replica_labels: Collection[str] = ()) -> None:
        self._replica_labels = replica_labels
        self.at = 0.0
        self.unreadable = 0  # values, of series whose labels can be read
        self._most = most_series
        self._series = 0
        self._texts: dict[str, str] = {}
        try:
            self.json: Any = json.loads(text, object_hook=self._made)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error

    def _made(self, found: dict[str, Any]) -> Any:
        """What takes the place of a JSON object: a series is what has labels and a value. Labels are texts only."""
        metric = found.get("metric")
        if not isinstance(metric, dict) or not ("value" in found or "values" in found):
            return found
        self._series += 1
        if self._series > self._most:
            raise TooManySeries
        labels = self._labels(metric)
        made = self._sample(found["value"], labels) if "value" in found else self._points(found["values"], labels)
        return made if labels is not None else None

    def _labels(self, metric: Mapping[str, Any]) -> Mapping[str, str] | None:
        """Labels with each text only once in memory; None for what are none."""
        once = self._texts.setdefault
        if all(isinstance(value, str) for value in metric.values()):
            if copies := [metric[label] for label in self._replica_labels if label in metric]:
                metric = {name: value for name, value in metric.items() if name not in self._replica_labels}
                metric["replica"] = "/".join((metric.get("replica", ""), *copies))
            return {name: once(value, value) for name, value in metric.items()}
        return None

    def _sample(self, pair: Any, labels: Mapping[str, str] | None) -> Sample:
        point = _point(pair)
        if point is None:
            self.unreadable += labels is not None
            return Sample(float("nan"), labels or {})
        self.at = self.at or point[0]
        return Sample(point[1], labels or {})

    def _points(self, pairs: Any, labels: Mapping[str, str] | None) -> Series:
        points = map(_point, pairs if isinstance(pairs, list) else ())
        return Series(labels or {}, tuple(point for point in points if point is not None))


def _point(pair: Any) -> tuple[float, float] | None:
    """Unix time and value; None for anything else."""
    if not isinstance(pair, list) or len(pair) != 2:
        return None
    at, text = pair
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at < _LATEST_TIME:
        return None
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        return None
    return float(at), float(text)


def _unusable(answer: Mapping[str, Any]) -> Answer | None:
    """Why an answer must not be decided on although it was given, if so.

    VictoriaMetrics marks an answer without the series of a storage that is down, and warns of nothing.
    """
    if answer.get("isPartial"):
        message = "the answer is partial (isPartial): a part of the storage behind Prometheus' API did not answer"
        return Answer(problem=DataProblem.PARTIAL, message=message)
    warnings = answer.get("warnings") or ()
    texts = [str(warning) for warning in warnings] if isinstance(warnings, list) else [str(warnings)] * bool(warnings)
    # Prometheus 2.48 to 2.53 put hints among the warnings; later ones have a field of their own for them.
    texts = [text for text in texts if not text.lower().startswith(_INFO)]
    if not texts:
        return None
    warning = "; ".join(texts)[:300]
    if all(text.lower().startswith(_WARNING) for text in texts):
        message = f"Prometheus warns about the result of the query: {warning}"
    else:
        message = f"Prometheus warns that its answer may be partial: {warning}"
    return Answer(problem=DataProblem.WARNINGS, message=message)


def is_victoriametrics(answer: Mapping[str, Any]) -> bool:
    """Whether VictoriaMetrics answers: it alone counts the series that it fetched."""
    stats = answer.get("stats")
    return isinstance(stats, Mapping) and "seriesFetched" in stats


def read(body: Body) -> Answer:
    """The samples of an answer to an instant query, or why there are none to decide on."""
    if unusable := _unusable(body.json):
        return unusable
    kind, result = _data(body.json)
    if kind not in ("vector", "scalar"):
        message = f"the query returns {_a(kind)}, not one number; aggregate it, for example with sum(...)"
        return Answer(problem=DataProblem.WRONG_TYPE, message=message)
    if kind == "scalar":
        point = _point(result)
        at, found = point[0] if point else 0.0, [Sample(point[1]) if point else None]
    else:
        at, found = body.at, result if isinstance(result, list) else [None]
    samples = tuple(sample for sample in found if isinstance(sample, Sample))
    # A native histogram has no "value", so it is no sample.
    unreadable = len(found) - len(samples) + body.unreadable
    if unreadable and not samples:
        return Answer(problem=DataProblem.WRONG_TYPE, message=UNREADABLE)
    if at and (skew := _skew(at)):
        return Answer(problem=DataProblem.CLOCK_SKEW, message=skew)
    return Answer(samples, at=at, unreadable=unreadable)


def read_range(body: Body) -> RangeAnswer:
    """The series of an answer to a range query, or why there are none to go by."""
    if unusable := _unusable(body.json):
        return RangeAnswer(problem=unusable.problem, message=unusable.message)
    kind, result = _data(body.json)
    if kind != "matrix" or not isinstance(result, list):
        message = f"the answer to a range query is {_a(kind)}, not a matrix"
        return RangeAnswer(problem=DataProblem.WRONG_TYPE, message=message)
    return RangeAnswer(tuple(series for series in result if isinstance(series, Series)))


UNREADABLE = "the answer cannot be read as numbers; return numbers, for example with sum(...)"


def _data(answer: Mapping[str, Any]) -> tuple[Any, Any]:
    """Kind and content of a result."""
    data = answer.get("data")
    return (data.get("resultType"), data.get("result")) if isinstance(data, dict) else ("vector", None)


def _a(kind: Any) -> str:
    return f"a {kind}" if kind in ("matrix", "string", "vector", "scalar") else "something unknown"


def refused(status: int, answer: Mapping[str, Any]) -> Answer:
    """That Prometheus understood, and would not, in its own words."""
    kind, text = str(answer.get("errorType", "error"))[:40], printable(str(answer.get("error", "")))[:300]
    return Answer(
        problem=DataProblem.QUERY_FAILED, message=f"Prometheus refused the query: {kind}: {text} (HTTP {status})"
    )


def _skew(evaluated_at: float) -> str:
    """What to say when Prometheus' clock is not ours."""
    skew = evaluated_at - time.time()
    if abs(skew) <= _LARGEST_SKEW_SECONDS:
        return ""
    which = "ahead of" if skew > 0 else "behind"
    return f"the clock of Prometheus is {abs(skew):.0f} s {which} the operator's; synchronise both with NTP"
