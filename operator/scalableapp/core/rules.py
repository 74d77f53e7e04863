"""The shape of a rule: what it may look at, and what it says.

`decide` folds its table of rules over a number that starts at the replicas there are. A rule that has
nothing to say returns None.
"""

from collections.abc import Callable
from typing import NamedTuple

from scalableapp.core.bounds import Bounds
from scalableapp.core.forecast import LoadHistory
from scalableapp.core.horizontal import Proposal
from scalableapp.core.model import History, Observation, Outage, Startups, Step
from scalableapp.core.scaling import Horizontal
from scalableapp.core.spec import ScalableAppSpec


class Case(NamedTuple):
    """Everything a rule may look at."""

    spec: ScalableAppSpec
    observation: Observation
    history: History
    proposals: tuple[Proposal, ...]
    bounds: Bounds
    outage: Outage | None
    startups: Startups
    loads: LoadHistory

    @property
    def current(self) -> int:
        """Replicas there are."""
        return self.observation.replicas

    @property
    def horizontal(self) -> Horizontal:
        """Metrics, bounds and behaviour as the spec states them; `bounds` are those in force now."""
        return self.spec.scaling.horizontal

    @property
    def failed(self) -> list[Proposal]:
        """Metrics that cannot be used."""
        return [proposal for proposal in self.proposals if proposal.failure]

    @property
    def blind(self) -> bool:
        """Whether no metric can be used."""
        return all(proposal.failure for proposal in self.proposals)


class Ruling(NamedTuple):
    """What a rule says: the number from here on, and why.

    `reason` is "" where the rule has only something to tell. `ends`: no later rule is asked. `limits`: the
    metrics asked for something else. `active`: False when the metrics do not drive the number. `asked`: what the
    metrics asked for, to be remembered; the last word counts. `asked_too`: what a rule after the stabilisation
    windows asked for beyond that. `before`: the steps that led to this one.
    """

    rule: str
    value: int
    reason: str
    message: str
    ends: bool = False
    limits: bool = False
    active: bool = True
    asked: int | None = None
    asked_too: int | None = None
    before: tuple[Step, ...] = ()


Rule = Callable[[Case, int], Ruling | None]
