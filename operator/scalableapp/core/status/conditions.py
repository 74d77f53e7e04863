"""The conditions of a ScalableApp: one rule each, in the order in which status shows them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scalableapp.core.children.routing import Exposure
from scalableapp.core.explain import clock, count, count_with_verb
from scalableapp.core.model import Decision, History
from scalableapp.core.status.size_status import SizeState
from scalableapp.core.vertical.backoff import backing_off
from scalableapp.core.vertical.change import Phase


@dataclass(frozen=True, slots=True)
class AppProblem:
    """Why an app is not as it should be: a CamelCase reason, and a message for the person on call.

    `holds` says whether its replicas stay unchanged because of it.
    """

    reason: str
    message: str
    holds: bool = True


class Requests(NamedTuple):
    """What counts an app's requests: name of the source, Pod or App, and seconds between two scrapes."""

    source: str
    per: str
    scrape_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class AppState:
    """What there is to report of one app.

    `target` names the workload that is scaled in place of a Deployment of its own.
    `replicas`, `ready_replicas` are the Deployment's own counts (0 without one). `problem` keeps the app from being as
    specified; `conflict` names who else manages its objects, `contested` who keeps changing its replicas.
    `owned_elsewhere` names who keeps setting the replicas of an existing workload, so that nothing is written for now.
    `pod_template` names the fields that the spec's podTemplate states.
    `status_contested` names who keeps changing its status, `deployment_problem` what its Deployment's controller
    reports, `additions` what others set in its Deployment that the operator does not.
    `pod_message` are those of a pod that does not come up, "" where none says anything. `pause` says why
    horizontal scaling is paused, None when it is not. `exposure` is what Gateways report on its HTTPRoute, if any.
    `not_evaluated` says why no decision can be made now. `requests` is what counts the app's requests, None where they
    are not decided on, or not found.
    """

    generation: int
    replicas: int = 0
    ready_replicas: int = 0
    desired_replicas: int | None = None
    selector: str = ""
    url: str = ""
    pause: AppProblem | None = None
    problem: AppProblem | None = None
    conflict: str = ""
    contested: str = ""
    owned_elsewhere: str = ""
    status_contested: str = ""
    additions: str = ""
    pod_template: tuple[str, ...] = ()
    pod_message: str = ""
    deployment_problem: AppProblem | None = None
    decision: Decision | None = None
    history: History | None = None
    sizes: SizeState | None = None
    exposure: Exposure | None = None
    not_evaluated: AppProblem | None = None
    target: str = ""
    requests: Requests | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, without its bookkeeping. `status` is True, False or Unknown as text."""

    type: str
    status: str
    reason: str
    message: str


class Abnormal(NamedTuple):
    """A condition that a healthy app does not have."""

    type: str
    status: str
    reason: str


_IN_ORDER = {
    "Ready": "True",
    "Available": "True",
    "Exposed": "True",
    "MetricsAvailable": "True",
    "ObjectiveMet": "True",
    "ScalingActive": "True",
    "ScalingLimited": "False",
    "Paused": "False",
    "Conflicted": "False",
    "Sized": "True",
}


def abnormal(entries: Iterable[Mapping[str, str]]) -> tuple[Abnormal, ...]:
    """Of the conditions in a status, those that a healthy app does not have."""
    return tuple(
        Abnormal(entry["type"], entry["status"], entry["reason"])
        for entry in entries
        if entry["status"] != _IN_ORDER[entry["type"]]
    )


def conditions(state: AppState) -> list[Condition]:
    """All conditions of an app in this state."""
    found = (rule(state) for rule in _RULES)
    return [condition for condition in found if condition]


def _held(state: AppState) -> bool:
    return state.problem is not None and state.problem.holds


def _ready(state: AppState) -> Condition:
    if state.problem:
        return Condition("Ready", "False", state.problem.reason, state.problem.message)
    available = _available(state)
    if available.status != "True":
        return Condition("Ready", "False", available.reason, available.message)
    if state.deployment_problem:
        return Condition("Ready", "False", state.deployment_problem.reason, available.message)
    if state.exposure and not state.exposure.accepted:
        return Condition("Ready", "False", state.exposure.reason, state.exposure.message)
    done = f"{state.target} is scaled as specified" if state.target else "Deployed as specified"
    return Condition("Ready", "True", "InSync", f"{done}; {available.message}")


def _available(state: AppState) -> Condition:
    if state.desired_replicas is None and state.target and state.problem:
        return Condition("Available", "Unknown", state.problem.reason, state.problem.message)
    if state.desired_replicas is None:
        return Condition("Available", "False", "Deploying", "there is no Deployment yet")
    counts = f"{state.ready_replicas} of {count_with_verb(state.desired_replicas, 'pod')} ready"
    if state.desired_replicas == 0:
        return Condition("Available", "True", "ScaledToZero", "the app is scaled to 0 replicas")
    counts = "; ".join((counts, *_not_ready_because(state)))
    if state.ready_replicas == 0:
        return Condition("Available", "False", _not_ready_reason(state), counts)
    return Condition("Available", "True", "PodsReady", counts)


def _not_ready_because(state: AppState) -> Iterator[str]:
    lacking = state.ready_replicas < (state.desired_replicas or 0)
    if problem := state.deployment_problem:
        yield problem.message
    if state.pod_message and (lacking or problem):
        yield state.pod_message
    elif lacking and not problem:
        yield "see kubectl describe pods, and kubectl get nodes for a lost node"


def _not_ready_reason(state: AppState) -> str:
    if state.pod_message:
        return "PodsFailing"
    return state.deployment_problem.reason if state.deployment_problem else "PodsNotReady"


def _metrics_available(state: AppState) -> Condition:
    decision = state.decision
    if decision is None or _held(state):
        return Condition("MetricsAvailable", "Unknown", "NotMeasured", "metrics have not been read yet")
    if decision.data_problem:
        return Condition("MetricsAvailable", "False", decision.data_problem.value, decision.data_message)
    waiting = ", ".join(report.name for report in decision.metrics if report.proposed_replicas is None)
    if waiting:
        return Condition("MetricsAvailable", "Unknown", "NotMeasured", f"not measured yet: {waiting}")
    times = [report.at for report in decision.metrics if report.at]
    oldest = f"; the oldest sample was taken at {clock(min(times), decision.at)}" if times else ""
    if thin := [report for report in decision.metrics if report.without_sample]:
        missing = ", ".join(
            f"{report.name} has no sample of {report.without_sample} of {count(report.pods, 'pod')}" for report in thin
        )
        message = f"all metrics are available, but {missing}; check whether Prometheus scrapes them{oldest}"
        return Condition("MetricsAvailable", "True", "PodsWithoutSamples", message)
    return Condition("MetricsAvailable", "True", "MetricsRead", f"all metrics are available{oldest}")


def _objective_met(state: AppState) -> Condition | None:
    """Only with an objective."""
    found = state.decision.objective if state.decision else None
    return Condition("ObjectiveMet", *found) if found and not _held(state) else None


def _scaling_active(state: AppState) -> Condition:
    decision = state.decision
    if state.problem and _held(state):
        message = f"replicas stay unchanged: {state.problem.message}"
        return Condition("ScalingActive", "False", state.problem.reason, message)
    if state.problem and state.problem.reason == "FailedRescale":
        return Condition("ScalingActive", "False", "FailedRescale", state.problem.message)
    if state.not_evaluated:
        return Condition("ScalingActive", "Unknown", state.not_evaluated.reason, state.not_evaluated.message)
    if decision is None:
        return Condition("ScalingActive", "Unknown", "NotMeasured", "no decision has been made yet")
    if not decision.active:
        return Condition("ScalingActive", "False", decision.reason, decision.message)
    followed = "sizes follow the usage" if decision.sizing and not decision.metrics else "replicas follow the metrics"
    return Condition("ScalingActive", "True", "ValidMetricFound", followed)


def _scaling_limited(state: AppState) -> Condition:
    decision = state.decision
    if decision is None or _held(state) or not decision.limited:
        return Condition("ScalingLimited", "False", "DesiredWithinRange", "no limit applies")
    return Condition("ScalingLimited", "True", decision.reason, decision.message)


def _paused(state: AppState) -> Condition:
    if state.pause:
        return Condition("Paused", "True", state.pause.reason, state.pause.message)
    return Condition("Paused", "False", "NotPaused", "scaling is not paused")


def _conflicted(state: AppState) -> Condition:
    if state.conflict:
        return Condition("Conflicted", "True", "Conflicted", state.conflict)
    if state.owned_elsewhere:
        return Condition("Conflicted", "True", "ReplicasOwnedElsewhere", state.owned_elsewhere)
    if state.contested:
        return Condition("Conflicted", "True", "ReplicasContested", state.contested)
    if state.status_contested:
        return Condition("Conflicted", "True", "StatusContested", state.status_contested)
    message = "no other manager changes this app's objects"
    if state.additions:
        message = f"{state.additions} in the Deployment; that stays, as the operator does not set it"
    return Condition("Conflicted", "False", "NoConflict", message)


def _sized(state: AppState) -> Condition | None:
    """Only in the modes that decide on sizes."""
    sizes = state.sizes
    if sizes is None:
        return None
    if sizes.change:
        reason = "RollingBack" if sizes.change.phase is Phase.ROLLBACK else "Resizing"
        way = "rolled back to" if sizes.change.phase is Phase.ROLLBACK else "resized to"
        to = sizes.change.good if sizes.change.phase is Phase.ROLLBACK else sizes.change.to
        return Condition("Sized", "False", reason, f"pods are being {way} {to}: {sizes.change.why}")
    at = state.decision.at if state.decision else None
    erred = next(filter(None, (backing_off(failure, at) for failure in sizes.failures)), "") if at else ""
    if erred:
        return Condition("Sized", "False", "ResizeRolledBack", f"pods have {sizes.current}; {erred}")
    if sizes.unread:
        message = f"pods have {sizes.current}, and are not given more: a limit of the namespace cannot be read: "
        return Condition("Sized", "Unknown", "LimitsUnreadable", f"{message}{sizes.unread}; correct it")
    if sizes.bound:
        message = f"pods have {sizes.current}; {sizes.bound}; raise that limit if the app is to have them"
        return Condition("Sized", "False", "SizeLimited", message)
    return Condition("Sized", "True", "InSync", f"pods have {sizes.current}")


def _exposed(state: AppState) -> Condition | None:
    """Only with spec.route: not all controllers report whether an Ingress is served."""
    if state.exposure is None:
        return None
    return Condition("Exposed", str(state.exposure.accepted), state.exposure.reason, state.exposure.message)


_RULES: tuple[Callable[[AppState], Condition | None], ...] = (
    _ready,
    _available,
    _exposed,
    _metrics_available,
    _objective_met,
    _scaling_active,
    _scaling_limited,
    _paused,
    _conflicted,
    _sized,
)
