"""`spec.scaling.horizontal.objective`: a latency goal, instead of a load per pod to tune."""

from functools import cached_property

from pydantic import Field

from scalableapp.core.api.fields import Model
from scalableapp.core.learning.capacity import Limits
from scalableapp.core.learning.objective import Objective


class LatencyLimit(Model):
    """How fast most requests should be answered."""

    quantile: float = Field(
        0.95,
        ge=0.5,
        le=0.999,
        description="Share of requests that must be fast in each minute; otherwise the minute is bad.",
    )
    seconds: float = Field(
        gt=0,
        le=60,
        description="Seconds within which a request is fast. Preferably a bucket boundary of the app's "
        "histogram; between two boundaries, the share is interpolated.",
    )


class LatencyObjective(Model):
    """A latency that most requests should meet in most minutes; the load that a pod can handle is learned.

    It needs the app's histogram and at least 20 requests in ten minutes; see docs/objective.md.
    """

    latency: LatencyLimit = Field(description="Which requests are fast enough. Failed requests (5xx) never are.")
    bad_minutes_percent: float = Field(
        0.5, ge=0.01, le=20, description="Percentage of all minutes that may be bad; a lower value needs more pods."
    )

    @cached_property
    def shares(self) -> Objective:
        """The same as shares."""
        limits = Limits(round(1 - self.latency.quantile, 9), self.latency.seconds)
        return Objective(limits, self.bad_minutes_percent / 100)
