"""Answers to grouped queries: of each pod the value over the window that fits its scrapes, or why there is none."""

import math
from collections.abc import Iterable

from scalableapp.adapters.prometheus_answers import Answer, Sample
from scalableapp.adapters.prometheus_queries import (
    COPY_LABELS,
    COUNTED_SECONDS,
    NEWEST,
    PART,
    RESETS,
    SAMPLES,
    UNSCRAPED,
    Flaw,
    Grouped,
    window_part,
)
from scalableapp.adapters.scrape_times import Copy, Pod, ScrapeTimes
from scalableapp.core.learning.latency import Histogram, bound_of, flaw_of, smoothed
from scalableapp.core.learning.scrapes import Scrape, fits, too_rare, window_for
from scalableapp.core.model import DataProblem
from scalableapp.ports import LatencyAnswer, PodAnswer, Refusal

Refusals = dict[Pod, Refusal]
_PROBLEMS = {RESETS: DataProblem.BROKEN, UNSCRAPED: DataProblem.PARTIAL}
# Exporters may date their samples as they like.
_LONGEST_AGE_SECONDS = 86_400.0


def windows_of(grouped: Grouped, scrape_times: ScrapeTimes) -> set[float]:
    """The windows that the pods' scrapes need."""
    return {window_for(interval, grouped.window) for interval in scrape_times.intervals.values()}


def inspection_answer(answer: Answer, flaws: Iterable[Flaw], scrape_times: ScrapeTimes) -> Refusals:
    """Take in how many samples there are of each pod; the pods whose series are of no use, and why."""
    counts, newest = _copies(answer.samples, SAMPLES), _copies(answer.samples, NEWEST)
    means = {copy: _mean(samples, answer.at - newest[copy]) for copy, samples in counts.items() if copy in newest}
    scrape_times.counted(means, counts.keys() - means.keys())
    found: Refusals = {}
    for flaw in flaws:
        problem = _PROBLEMS.get(flaw.name, DataProblem.DUPLICATE)
        for pod in _pods(answer.samples, flaw.name):
            found.setdefault(pod, (problem, flaw.message))
    return found


def _mean(samples: float, age: float) -> float:
    """The mean interval, up to the newest sample: that of a pod that is scraped no more must not grow."""
    mean = COUNTED_SECONDS / max(samples, 1.0)
    return mean if age <= mean else (COUNTED_SECONDS - min(age, COUNTED_SECONDS)) / max(samples - 0.5, 0.5)


def pod_answer(
    answer: Answer, grouped: Grouped, scrape_times: ScrapeTimes, flawed: Refusals, *, with_newest: bool
) -> PodAnswer:
    """Values of the pods, without those that must not be decided on."""
    if with_newest:
        scrape_times.seen(_copies(answer.samples, NEWEST))
    over = {window: _pods(answer.samples, _part_of(grouped, window)) for window in _windows(grouped, scrape_times)}
    scrapes = _scrapes(answer, grouped, scrape_times, {pod for values in over.values() for pod in values})
    refused = {pod: why for pod, scrape in scrapes.items() if (why := flawed.get(pod) or _rare(grouped, scrape))}
    values = {
        pod: over[scrape.window][pod]
        for pod, scrape in scrapes.items()
        if pod not in refused and pod in over[scrape.window]
    }
    return PodAnswer(values, scrapes=scrapes, refused=refused)


def short_answer(answer: Answer, window: float, scrape_times: ScrapeTimes, flawed: Refusals) -> PodAnswer:
    """Values of the pods over a short window, of those that are scraped often enough for it."""
    refused, values = dict(flawed), _pods(answer.samples, "")
    for pod, interval in scrape_times.intervals.items():
        if not fits(interval, window):
            message = f"a scrape interval of {interval:.0f} s is too long for a window of {window:.0f} s"
            refused[pod] = DataProblem.TOO_RARE, message
    return PodAnswer({pod: value for pod, value in values.items() if pod not in refused}, refused=refused)


def latency_answer(
    answer: Answer, grouped: Grouped, scrape_times: ScrapeTimes, flawed: Refusals, *, with_newest: bool
) -> LatencyAnswer:
    """Histograms of the pods, without those that must not be decided on."""
    if with_newest:
        scrape_times.seen(_copies(answer.samples, NEWEST))
    over = {
        window: _histograms(answer.samples, _part_of(grouped, window), grouped.in_a_second)
        for window in _windows(grouped, scrape_times)
    }
    scrapes = _scrapes(answer, grouped, scrape_times, {pod for found in over.values() for pod in found})
    refused = _misnamed(answer.samples)
    refused |= {pod: why for pod, scrape in scrapes.items() if (why := flawed.get(pod) or _rare(grouped, scrape))}
    histograms: dict[Pod, Histogram] = {}
    for pod, scrape in scrapes.items():
        histogram = over[scrape.window].get(pod)
        if histogram is None or pod in refused:
            continue
        if flaw := flaw_of(histogram):
            refused[pod] = DataProblem.BROKEN, flaw
        else:
            histograms[pod] = smoothed(histogram)
    return LatencyAnswer(histograms, scrapes=scrapes, refused=refused)


def _windows(grouped: Grouped, scrape_times: ScrapeTimes) -> set[float]:
    return {grouped.window} | windows_of(grouped, scrape_times)


def _part_of(grouped: Grouped, window: float) -> str:
    return "" if window == grouped.window else window_part(window)


def _scrapes(answer: Answer, grouped: Grouped, scrape_times: ScrapeTimes, pods: set[Pod]) -> dict[Pod, Scrape]:
    newest, found = scrape_times.newest, {}
    for pod in pods | newest.keys():
        age = min(max(0.0, answer.at - newest[pod]), _LONGEST_AGE_SECONDS) if pod in newest else None
        window = window_for(scrape_times.interval_of(pod), grouped.window)
        found[pod] = Scrape(scrape_times.intervals.get(pod), age, window, scrape_times.observed and age is None)
    return found


def _rare(grouped: Grouped, scrape: Scrape) -> Refusal | None:
    """A gauge is usable however rarely it is scraped; a rate is not."""
    seconds = scrape.age if scrape.interval is None else scrape.interval
    if not grouped.of_rate or seconds is None or not too_rare(seconds):
        return None
    message = f"Prometheus scrapes them every {seconds:.0f} s{' or less often' if scrape.interval is None else ''}"
    return DataProblem.TOO_RARE, f"{message}; a rate needs a scrape at least every 60 s, preferably every 15 s"


def _copies(samples: Iterable[Sample], name: str) -> dict[Copy, float]:
    return {
        (sample.labels["namespace"], sample.labels["pod"], *(sample.labels.get(label, "") for label in COPY_LABELS)): (
            sample.value
        )
        for sample in _of(samples, name)
        if math.isfinite(sample.value)
    }


def _pods(samples: Iterable[Sample], name: str) -> dict[Pod, float]:
    return {(sample.labels["namespace"], sample.labels["pod"]): sample.value for sample in _of(samples, name)}


def _histograms(samples: Iterable[Sample], name: str, in_a_second: float) -> dict[Pod, dict[float, float]]:
    found: dict[Pod, dict[float, float]] = {}
    for sample in _of(samples, name):
        bound = bound_of(sample.labels.get("le", ""))
        if bound is not None:
            buckets = found.setdefault((sample.labels["namespace"], sample.labels["pod"]), {})
            bound /= in_a_second
            # Prometheus 3 writes 1.0 where others write 1: right after its upgrade there are both, one after the other.
            buckets[bound] = buckets.get(bound, 0.0) + sample.value
    return found


def _misnamed(samples: Iterable[Sample]) -> Refusals:
    """Pods that have buckets whose bounds are no numbers."""
    found: Refusals = {}
    for sample in samples:
        le = sample.labels.get("le", "")
        if le and bound_of(le) is None and "namespace" in sample.labels and "pod" in sample.labels:
            message = f"its duration histogram has a bucket le={le[:40]!r}, which is not a number of seconds"
            found[sample.labels["namespace"], sample.labels["pod"]] = DataProblem.BROKEN, message
    return found


def _of(samples: Iterable[Sample], name: str) -> Iterable[Sample]:
    """The samples of a part of an answer that are some pod's."""
    for sample in samples:
        labels = sample.labels
        if labels.get(PART, "") == name and "namespace" in labels and "pod" in labels:
            yield sample
