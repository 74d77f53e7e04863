"""Namespaces whose series would leave no room for those of others in the answers that all apps share.

An exporter may make as many series as it likes of two metrics: with buckets (label `le`), and with labels that tell
copies apart, such as `replica`. Where all are too many to be read, the largest namespaces are not asked for.
"""

from collections.abc import Mapping

from scalableapp.adapters.prometheus_answers import Answer
from scalableapp.adapters.prometheus_queries import LONGEST_LABEL, PART, TOO_LONG
from scalableapp.core.model import DataProblem
from scalableapp.ports import Refusal

# A series takes about 130 bytes, and is there with two windows and the time of its newest sample.
_BYTES_A_SERIES = 320
_FEWEST = 1000
# So many measurements later what was too much is tried again: it fails one look at most.
_AGAIN_AFTER = 10


class Crowds:
    """What is left out of the answers on one metric. `most_bytes` is the size of the largest answer that is read."""

    def __init__(self, metric: str, most_bytes: int) -> None:
        self._metric = metric
        self._most = self._allowed = max(_FEWEST, most_bytes // _BYTES_A_SERIES)
        self._fitting = 0
        self.left_out: Mapping[str, Refusal] = {}

    def overflowed(self) -> None:
        """An answer was too large, although the series were counted: theirs are longer than usual."""
        self._allowed = max(_FEWEST, self._allowed // 2)
        self._fitting = 0

    def counted(self, answer: Answer) -> None:
        """Take in the answer to sizes_query(): the largest namespaces are left out until the others fit."""
        self._fitting += 1
        if self._fitting >= _AGAIN_AFTER:
            self._allowed, self._fitting = min(self._most, 2 * self._allowed), 0
        named = [(sample.labels.get("namespace", ""), sample) for sample in answer.samples]
        left_out = {name: self._too_long(name) for name, sample in named if sample.labels.get(PART) == TOO_LONG}
        sizes = {name: sample.value for name, sample in named if PART not in sample.labels and name not in left_out}
        total = sum(sizes.values())
        for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
            if total <= self._allowed:
                break
            total -= sizes[name]
            left_out[name] = self._too_many(name, sizes[name])
        self.left_out = left_out

    def _too_many(self, namespace: str, size: float) -> Refusal:
        message = (
            f"the pods of namespace {namespace} have {size:,.0f} series of {self._metric} (by pod, bucket, replica), "
            f"and the operator reads at most {self._allowed:,} of all namespaces together; remove buckets (label le) "
            "and replica labels from the metric, or raise the operator's memory limit"
        )
        return DataProblem.TOO_MANY_SERIES, message

    def _too_long(self, namespace: str) -> Refusal:
        message = (
            f"pods of namespace {namespace} have series of {self._metric} with a bucket or replica label of more than "
            f"{LONGEST_LABEL} characters; correct the exporter"
        )
        return DataProblem.TOO_MANY_SERIES, message
