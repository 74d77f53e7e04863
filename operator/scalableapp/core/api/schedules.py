"""Parts of `spec.scaling.horizontal` that hold at times: schedules, bursts, forecasts, outages of the metrics."""

from enum import StrEnum
from functools import cached_property
from typing import Self

from pydantic import Field, model_validator

from scalableapp.core.api.cron import Cron, cron
from scalableapp.core.api.fields import MOST_REPLICAS, Model, PositiveQuantity
from scalableapp.core.quantity import parse_quantity


class Schedule(Model):
    """Other bounds from each time that `start` fires until `end` does."""

    name: str = Field(min_length=1, max_length=63, description="Name in decisions and messages.")
    start: str = Field(
        max_length=128,
        description='When it begins: a cron expression of five fields, "0 8 * * MON-FRI". A time that the clocks skip '
        "in spring counts right after, one that comes twice in autumn counts once.",
    )
    end: str = Field(max_length=128, description='When it is over: a cron expression, "0 18 * * MON-FRI".')
    timezone: str = Field(
        "UTC", max_length=64, description="Time zone of both, by its IANA name: Europe/Paris, America/New_York."
    )
    min_replicas: int | None = Field(
        None, ge=0, le=MOST_REPLICAS, description="Takes the place of minReplicas meanwhile, be it higher or lower."
    )
    max_replicas: int | None = Field(
        None, ge=1, le=MOST_REPLICAS, description="Takes the place of maxReplicas meanwhile, be it higher or lower."
    )

    @cached_property
    def started(self) -> Cron:
        """Firings of `start`."""
        return cron(self.start, self.timezone)

    @cached_property
    def ended(self) -> Cron:
        """Firings of `end`."""
        return cron(self.end, self.timezone)

    @model_validator(mode="after")
    def _fires_and_bounds(self) -> Self:
        for expression in (self.start, self.end):
            cron(expression, self.timezone)
        if self.start.split() == self.end.split():
            raise ValueError(f"start and end are both {self.start}; let end fire at another time")
        if self.min_replicas is None and self.max_replicas is None:
            raise ValueError("it changes nothing; add minReplicas or maxReplicas")
        return self


class Burst(Model):
    """A second look at the requests over a short window, which may only add replicas."""

    window_seconds: int = Field(
        10, ge=10, le=30, description="Length of the short window; it must span two scrapes of the app."
    )
    threshold: PositiveQuantity = Field(
        "1.5",
        description="Ratio of the requests in the short window to what the replicas carry at the target, those that "
        "are starting included. From it on the short window decides, past the window of behavior.scaleUp.",
    )

    @cached_property
    def threshold_ratio(self) -> float:
        """The threshold as a number, parsed once."""
        return parse_quantity(self.threshold)

    @model_validator(mode="after")
    def _threshold_is_above_the_target(self) -> Self:
        if self.threshold_ratio <= 1:
            raise ValueError(f"threshold {self.threshold} is not more than 1; write 1.5 for half more than the target")
        return self


class Prediction(Model):
    """Forecasts of the requests, which may only add replicas or keep them."""

    enabled: bool = Field(
        False,
        description="Whether to scale ahead to the load expected at the time new pods would serve. A model is used "
        "only while it was clearly better in the last hour than expecting the load of now. Needs a metric "
        "RequestsPerSecond or an objective.",
    )


class FallbackBehavior(StrEnum):
    """What happens while no metric can be used."""

    HOLD = "Hold"
    STATIC = "Static"
    CURRENT_IF_HIGHER = "CurrentIfHigher"


class Fallback(Model):
    """What happens when no metric can be used for long. Until then, replicas are held."""

    after_seconds: int = Field(
        300, ge=0, le=86400, description="Seconds without any usable metric after which the fallback counts."
    )
    behavior: FallbackBehavior = Field(
        FallbackBehavior.HOLD,
        description="Hold: not below what the last usable metrics led to. CurrentIfHigher: nor below `replicas`. "
        "Static: exactly `replicas`, even if that is less.",
    )
    replicas: int | None = Field(None, ge=0, le=MOST_REPLICAS, description="For Static and CurrentIfHigher.")

    @model_validator(mode="after")
    def _replicas_where_they_count(self) -> Self:
        if self.behavior is FallbackBehavior.HOLD and self.replicas is not None:
            raise ValueError("behavior Hold takes no replicas; remove replicas or use behavior: CurrentIfHigher")
        if self.behavior is not FallbackBehavior.HOLD and self.replicas is None:
            raise ValueError(f"behavior {self.behavior} has no replicas; add replicas")
        return self
