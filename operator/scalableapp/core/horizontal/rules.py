"""The interface of a rule: what it may read, and what it returns.

`decide` folds its table of rules over a number that starts at the current replicas. A rule that does not
apply returns None.
"""

from collections.abc import Callable
from typing import NamedTuple

from scalableapp.core.api.scaling import Horizontal
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.horizontal.bounds import Bounds
from scalableapp.core.horizontal.objective_plan import ObjectivePlan
from scalableapp.core.horizontal.proposals import Proposal
from scalableapp.core.learning.forecast import LoadHistory
from scalableapp.core.learning.idle import Surplus
from scalableapp.core.model import History, Observation, Outage, Startups, Step


class Case(NamedTuple):
    """Everything a rule may read.

    `horizontal` is metrics, bounds and behaviour as in the spec, `current` the current replicas; `bounds`
    are those in force now.
    """

    spec: ScalableAppSpec
    horizontal: Horizontal
    observation: Observation
    current: int
    history: History
    proposals: tuple[Proposal, ...]
    bounds: Bounds
    outage: Outage | None
    startups: Startups
    loads: LoadHistory
    objective_plan: ObjectivePlan | None = None

    @property
    def failed(self) -> list[Proposal]:
        """Metrics that cannot be used."""
        return [proposal for proposal in self.proposals if proposal.failure]

    @property
    def planned(self) -> bool:
        """Whether the objective has a plan."""
        return self.objective_plan is not None and self.objective_plan.plan is not None

    @property
    def no_usable_metric(self) -> bool:
        """Whether nothing measured can be used."""
        return not self.planned and all(proposal.failure for proposal in self.proposals)

    @property
    def waits_by_idle_time(self) -> bool:
        """Whether scale-downs wait as an objective has it: unless a stabilisation window is stated."""
        return self.planned and self.horizontal.behavior.scale_down.stabilization_window_seconds is None

    @property
    def down_window_seconds(self) -> int:
        """The stabilisation window of scale-downs."""
        return 0 if self.waits_by_idle_time else self.horizontal.behavior.scale_down.window_seconds


class RuleResult(NamedTuple):
    """What a rule returns: the number from here on, and why.

    `reason` is "" where the rule only adds a message. `ends`: no later rule runs. `limits`: the metrics need
    something else. `active`: False when the metrics do not drive the number. `asked`: what the metrics need, to be
    remembered; the last one counts. `asked_too`: what a rule after the stabilisation windows needs beyond that.
    `forgets`: what the metrics need is not remembered. `before`: the steps that led to this one. `surplus`: surplus
    pods, to be remembered.
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
    forgets: bool = False
    before: tuple[Step, ...] = ()
    surplus: Surplus | None = None


Rule = Callable[[Case, int], RuleResult | None]
