"""The highest values of a long time, in little space: of each hour only what no later hour reaches."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

_HOUR = timedelta(hours=1)


class Sample(NamedTuple):
    """Usage at a moment: cores that all pods together need, or bytes of the largest pod."""

    at: datetime
    value: float


Peaks = tuple[Sample, ...]


def with_peak(peaks: Peaks, sample: Sample, lasts: timedelta) -> Peaks:
    """`peaks`, oldest and highest first, with one more sample; those older than `lasts` are forgotten."""
    if peaks and peaks[-1].value >= sample.value and timedelta(0) <= sample.at - peaks[-1].at < _HOUR:
        return peaks
    kept = (peak for peak in peaks if peak.value > sample.value and sample.at - peak.at < lasts)
    return (*kept, sample)


def highest(peaks: Sequence[Sample], since: datetime) -> float:
    """The highest value since then; 0 without any."""
    return next((peak.value for peak in peaks if peak.at >= since), 0.0)
