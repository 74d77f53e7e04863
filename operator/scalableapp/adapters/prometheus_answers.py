"""Prometheus' answers as values that need no knowledge of JSON, and the warnings that come with them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scalableapp.core.address import printable
from scalableapp.core.model import DataProblem

# Above this the clocks of Prometheus and the operator differ too much to compare times of samples and pods.
_LARGEST_SKEW_SECONDS = 30.0
_INFO, _WARNING = "promql info", "promql warning"


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant vector; a scalar has no labels."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The samples of an instant query and its Unix time, or why there are none to decide on."""

    samples: tuple[Sample, ...] = ()
    problem: DataProblem | None = None
    message: str = ""
    at: float = 0.0


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


def _unusable(answer: Mapping[str, Any]) -> Answer | None:
    """Why an answer must not be decided on although it was given, if so.

    VictoriaMetrics marks an answer without the series of a storage that is down, and warns of nothing.
    """
    if answer.get("isPartial"):
        message = "the answer is partial (isPartial): a part of the storage behind Prometheus' API did not answer"
        return Answer(problem=DataProblem.PARTIAL, message=message)
    warnings = answer.get("warnings") or ()
    texts = [warnings] if isinstance(warnings, str) else [str(warning) for warning in warnings]
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


def read(answer: Mapping[str, Any]) -> Answer:
    """The samples of an answer to an instant query, or why there are none to decide on."""
    if unusable := _unusable(answer):
        return unusable
    try:
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind not in ("vector", "scalar"):
            message = f"the query returns a {kind}, not one number; aggregate it, for example with sum(...)"
            return Answer(problem=DataProblem.WRONG_TYPE, message=message)
        series = result if kind == "vector" else [{"metric": {}, "value": result}]
        if series and (skew := _skew(float(series[0]["value"][0]))):
            return Answer(problem=DataProblem.CLOCK_SKEW, message=skew)
        samples = tuple(Sample(float(entry["value"][1]), entry["metric"]) for entry in series)
        return Answer(samples, at=float(series[0]["value"][0]) if series else 0.0)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        # A native histogram has no "value", so it ends here too.
        message = f"the answer cannot be read as numbers ({error!r}); return numbers, for example with sum(...)"
        return Answer(problem=DataProblem.WRONG_TYPE, message=message)


def read_range(answer: Mapping[str, Any]) -> RangeAnswer:
    """The series of an answer to a range query, or why there are none to go by."""
    if unusable := _unusable(answer):
        return RangeAnswer(problem=unusable.problem, message=unusable.message)
    try:
        return RangeAnswer(
            tuple(
                Series(entry["metric"], tuple((float(at), float(value)) for at, value in entry["values"]))
                for entry in answer["data"]["result"]
            )
        )
    except (KeyError, TypeError, ValueError) as error:
        message = f"the answer to a range query cannot be read ({error!r})"
        return RangeAnswer(problem=DataProblem.WRONG_TYPE, message=message)


def refused(status: int, answer: Mapping[str, Any]) -> Answer:
    """That Prometheus understood, and would not, in its own words."""
    kind, text = answer.get("errorType", "error"), printable(str(answer.get("error", "")))[:300]
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
