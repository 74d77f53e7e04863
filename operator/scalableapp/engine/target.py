"""What an app's record holds of the workload that `spec.targetRef` names. No I/O here."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from scalableapp.core.api.sharing import share_parts
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.api.target_fields import TargetRef
from scalableapp.core.children.contest import WITHIN, ReplicaSetting, owned_elsewhere
from scalableapp.core.horizontal.history import first_seen
from scalableapp.core.model import AppKey, History, Observation
from scalableapp.core.status.conditions import AppProblem
from scalableapp.core.targets import InvalidTarget, Template, as_deployed

NOT_READ = AppProblem("TargetPending", "the workload that spec.targetRef names has not been read yet")


def workload_key(namespace: str, group: str, kind: str, name: str) -> AppKey:
    """A key for a workload of any kind, which no app can have: names of apps have no slash."""
    return AppKey(namespace, f"{group}/{kind}/{name}")


@dataclass(slots=True)
class Target:
    """The workload, and what the app's author states of it.

    `template` is what its template requests, None until it has been read; `problem` says why it cannot be scaled.
    `conflict` names an older ScalableApp that scales it, `fresh` that its facts and pods are to be passed on anew.
    `waited` says whether the last decision left it to another autoscaler, `yields_until` how long nothing is written
    since somebody else keeps setting its replicas, and `owner` who, in words.
    """

    ref: TargetRef
    stated: ScalableAppSpec
    template: Template | None = None
    problem: AppProblem | None = NOT_READ
    selector: str = ""
    conflict: str = ""
    fresh: bool = True
    waited: bool = False
    yields_until: datetime | None = None
    owner: str = ""

    @classmethod
    def of(cls, spec: ScalableAppSpec, before: Self | None) -> Self | None:
        """The target of a spec that is new, with what is known of it from before."""
        if spec.target_ref is None:
            return None
        if before is None or before.ref != spec.target_ref:
            return cls(spec.target_ref, spec)
        before.stated, before.fresh = spec, True
        return before

    def deployed(self) -> ScalableAppSpec | None:
        """The spec with what the template says; None while that is not known, or does not fit, which is noted."""
        if self.template is None:
            return None
        try:
            spec = as_deployed(self.stated, self.template)
        except InvalidTarget as error:
            self.problem = AppProblem("InvalidTarget", f"{self.ref}: {error}")
            return None
        share_parts(spec)
        self.problem = None
        return spec

    def named(self, namespace: str) -> str:
        """The workload in words."""
        return f"{self.ref.kind} {namespace}/{self.ref.name}"

    def key(self, namespace: str) -> AppKey:
        """By which other autoscalers of it are known."""
        return workload_key(namespace, self.ref.group, self.ref.kind, self.ref.name)

    def yield_to(self, settings: tuple[ReplicaSetting, ...], namespace: str) -> None:
        """Somebody else has set the replicas again and again: nothing is written for a while."""
        self.yields_until = settings[-1].at + WITHIN
        self.owner = owned_elsewhere(settings, self.named(namespace))

    def yielded(self, now: datetime) -> str:
        """Who else keeps setting the replicas, while nothing is written because of that; "" at other times."""
        return self.owner if self.yields_until and now < self.yields_until else ""


def handed_over(target: Target, observation: Observation, history: History) -> History:
    """The history with what runs as just recommended, once another autoscaler has let go of the workload."""
    waited, target.waited = target.waited, bool(observation.hand_over) and not target.stated.scaling.dry_run
    if not waited or target.waited:
        return history
    return replace(history, recommendations=(*history.recommendations, *first_seen(observation).recommendations))
