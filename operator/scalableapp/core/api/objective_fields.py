"""`spec.scaling.horizontal.objective`: what users want of an app, instead of a load per pod to tune."""

from functools import cached_property

from pydantic import Field

from scalableapp.core.api.fields import Model
from scalableapp.core.learning.capacity import Limits
from scalableapp.core.learning.objective import Objective


class LatencyLimit(Model):
    """How fast most requests shall be answered."""

    quantile: float = Field(
        0.95, ge=0.5, le=0.999, description="Share of a minute's requests that must be fast, else the minute is bad."
    )
    seconds: float = Field(
        gt=0,
        le=60,
        description="Seconds within which a request is fast. Best a bucket boundary of the app's "
        "http_request_duration_seconds; between two, the share is interpolated.",
    )


class LatencyObjective(Model):
    """A latency that most requests keep in most minutes; what a pod carries at that is learned."""

    latency: LatencyLimit = Field(description="Which requests are fast enough. Failed ones (5xx) never are.")
    bad_minutes_percent: float = Field(
        0.5, ge=0.01, le=20, description="Percent of all minutes that may be bad; fewer cost more pods."
    )

    @cached_property
    def shares(self) -> Objective:
        """The same as shares."""
        limits = Limits(round(1 - self.latency.quantile, 9), self.latency.seconds)
        return Objective(limits, self.bad_minutes_percent / 100)
