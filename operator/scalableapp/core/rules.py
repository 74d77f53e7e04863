"""The shape of a rule: what it may look at, and what it says.

`decide` folds its table of rules over a number that starts at the replicas there are. A rule that has
nothing to say returns None.
"""

from collections.abc import Callable
from typing import NamedTuple

from scalableapp.core.horizontal import Proposal
from scalableapp.core.model import History, Observation, Step
from scalableapp.core.scaling import Horizontal
from scalableapp.core.spec import ScalableAppSpec


class Case(NamedTuple):
    """Everything a rule may look at."""

    spec: ScalableAppSpec
    observation: Observation
    history: History
    proposals: tuple[Proposal, ...]

    @property
    def current(self) -> int:
        """Replicas there are."""
        return self.observation.replicas

    @property
    def horizontal(self) -> Horizontal:
        """Bounds and behaviour."""
        return self.spec.scaling.horizontal


class Ruling(NamedTuple):
    """What a rule says: the number from here on, and why.

    `ends`: no later rule is asked. `limits`: the metrics asked for something else. `active`: False when
    the metrics do not drive the number. `asked`: what the metrics asked for, to be remembered.
    `before`: the steps that led to this one.
    """

    rule: str
    value: int
    reason: str
    message: str
    ends: bool = False
    limits: bool = False
    active: bool = True
    asked: int | None = None
    before: tuple[Step, ...] = ()


Rule = Callable[[Case, int], Ruling | None]
