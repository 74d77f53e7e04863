"""Parts of `spec.scaling.horizontal` that apply at times: schedules, bursts, forecasts, outages of the metrics."""

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
        description='When it starts: a cron expression with five fields, "0 8 * * MON-FRI". When clocks change, a time '
        "that is skipped fires right afterwards, and one that occurs twice fires once.",
    )
    end: str = Field(max_length=128, description='When it ends: a cron expression, "0 18 * * MON-FRI".')
    timezone: str = Field(
        "UTC", max_length=64, description="IANA time zone of start and end: Europe/Paris, America/New_York."
    )
    min_replicas: int | None = Field(
        None,
        ge=0,
        le=MOST_REPLICAS,
        description="Replaces minReplicas while the schedule is active, whether higher or lower.",
    )
    max_replicas: int | None = Field(
        None,
        ge=1,
        le=MOST_REPLICAS,
        description="Replaces maxReplicas while the schedule is active, whether higher or lower.",
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
            raise ValueError(f"start and end are both {self.start}; choose another end")
        if self.min_replicas is None and self.max_replicas is None:
            raise ValueError("the schedule changes nothing; add minReplicas or maxReplicas")
        return self


class Burst(Model):
    """The request rate over a short window, which may only add replicas."""

    window_seconds: int = Field(
        10, ge=10, le=30, description="Length of the short window; it must span two scrapes of the app."
    )
    threshold: PositiveQuantity = Field(
        "1.5",
        description="Ratio of the requests in the short window to what all replicas, starting ones included, handle at "
        "the target. From this ratio on the short window decides and bypasses the window of behavior.scaleUp.",
    )

    @cached_property
    def threshold_ratio(self) -> float:
        """The threshold as a number, parsed once."""
        return parse_quantity(self.threshold)

    @model_validator(mode="after")
    def _threshold_is_above_the_target(self) -> Self:
        if self.threshold_ratio <= 1:
            raise ValueError(f"threshold {self.threshold} is not greater than 1; write 1.5 for 50 % above the target")
        return self


class Prediction(Model):
    """Forecasts of the requests, which may only add replicas or keep them."""

    enabled: bool = Field(
        False,
        description="Whether to scale to the load that is expected when new pods would be ready. A model is used only "
        "while its forecasts of the last hour were clearly better than assuming constant load. Needs an objective or a "
        "metric of type RequestsPerSecond.",
    )


class FallbackBehavior(StrEnum):
    """What happens while no metric can be used."""

    HOLD = "Hold"
    STATIC = "Static"
    CURRENT_IF_HIGHER = "CurrentIfHigher"


class Fallback(Model):
    """What happens when no metric can be used for long. Until then, replicas are held."""

    after_seconds: int = Field(
        300, ge=0, le=86400, description="Seconds without any usable metric after which the fallback applies."
    )
    behavior: FallbackBehavior = Field(
        FallbackBehavior.HOLD,
        description="Hold: keep at least the last count that usable metrics led to. CurrentIfHigher: the same, but at "
        "least `replicas`. Static: exactly `replicas`, even if lower.",
    )
    replicas: int | None = Field(
        None, ge=0, le=MOST_REPLICAS, description="Replicas for behavior Static and CurrentIfHigher."
    )

    @model_validator(mode="after")
    def _replicas_where_they_count(self) -> Self:
        if self.behavior is FallbackBehavior.HOLD and self.replicas is not None:
            raise ValueError("behavior Hold uses no replicas; remove replicas or use behavior: CurrentIfHigher")
        if self.behavior is not FallbackBehavior.HOLD and self.replicas is None:
            raise ValueError(f"behavior {self.behavior} needs replicas; add replicas")
        return self
