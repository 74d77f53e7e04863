"""Every reason that a condition, a decision or an Event can carry: what it means, and what to do.

docs/api.md prints these tables. tests/docs/test_reasons.py keeps them to what the code says.
"""

from typing import NamedTuple


class Reason(NamedTuple):
    """A reason, what it says, and what the person who reads it does."""

    name: str
    meaning: str
    fix: str = "nothing"


CONDITIONS: dict[str, tuple[Reason, ...]] = {
    "Ready": (
        Reason("InSync", "everything is deployed as specified, and pods are ready"),
        Reason(
            "InvalidSpec",
            "a field is wrong, or two contradict each other; the running app stays as it was",
            "mend the field that the message names",
        ),
        Reason("Deploying", "the Deployment is not there yet, or a deleted app's is not gone yet", "wait some seconds"),
        Reason(
            "ApplyFailed",
            "the API server refused a child of the app, or somebody else changes it each time it is put right",
            "read the message: a quota, an admission policy, RBAC, or the manager it names; it is tried again",
        ),
        Reason(
            "FailedRescale",
            "the replicas were decided on, but could not be set",
            "read the message; it is tried again with a growing pause",
        ),
        Reason("PodsNotReady", "no pod is ready", "`kubectl describe pods` tells why"),
        Reason(
            "PodsFailing",
            "no pod is ready, and one says why; its own words are in the message",
            "what the message says: the image, its user (`spec.securityContext`), a ConfigMap, room in the cluster",
        ),
        Reason("Conflicted", "an object of the app's name exists and is not the app's", "rename or delete either"),
        Reason(
            "InternalError",
            "a fault of the operator; the app is left as it is",
            "report it with the operator's log; other apps go on",
        ),
    ),
    "Available": (
        Reason("PodsReady", "at least one pod is ready"),
        Reason("ScaledToZero", "0 replicas are wanted: pinned, or asleep"),
        Reason("PodsNotReady", "pods are wanted, and none is ready", "`kubectl describe pods` tells why"),
        Reason("PodsFailing", "the same, and a pod says why in the message", "what the message says"),
        Reason("Deploying", "there is no Deployment yet", "wait some seconds"),
    ),
    "MetricsAvailable": (
        Reason("MetricsRead", "every metric could be read"),
        Reason(
            "NotMeasured", "a metric has to be waited for: no pod is ready, or not for long enough", "wait a minute"
        ),
        Reason(
            "PrometheusUnreachable",
            "no answer, or none in time",
            "is it up, and is `SCALABLEAPP_PROMETHEUS_URL` right?",
        ),
        Reason(
            "PrometheusUnauthorized",
            "Prometheus, or what stands before it, refuses access (401, 403)",
            "mount a netrc file with user and password and name it in `NETRC`, or give the address behind the login",
        ),
        Reason(
            "PrometheusRedirects",
            "Prometheus' address leads elsewhere: to a page to log in, or from https to http",
            "set `SCALABLEAPP_PROMETHEUS_URL` to the address that answers",
        ),
        Reason("QueryFailed", "Prometheus refused the query", "try it in Prometheus' own query page"),
        Reason(
            "NoData", "no sample of any pod of the app", "is Prometheus scraping the pods? Its page of targets says"
        ),
        Reason("NotANumber", "the value is NaN", "look for 0 / 0 in the query"),
        Reason("Infinite", "the value is infinite", "look for a division by zero in the query"),
        Reason("NegativeValue", "the value is below 0; no load is", "look for a subtraction in the query"),
        Reason("StaleData", "the newest sample is too old", "has scraping stopped? Is the operator keeping up?"),
        Reason(
            "PartialData",
            "fewer than half of the ready pods have a sample, or the server marks its answer as partial (`isPartial`)",
            "which targets, or which storages behind Prometheus' API, are down?",
        ),
        Reason(
            "PrometheusWarnings",
            "the answer came with warnings, so part of it may be missing, or Prometheus doubts the query; mere hints "
            "(`PromQL info`) do not count",
            "see the message",
        ),
        Reason("WrongResultType", "the query gives no single number", "aggregate it: `sum(...)`"),
        Reason(
            "ScrapesTooRare",
            "the pods are scraped less often than every 60 s; the message has the interval",
            "shorten the interval of the scrape: 15 s is good, 5 s fits `burst` and `objective`",
        ),
        Reason(
            "DuplicateSeries",
            "the series of the pods are there several times, and no label known as a job's or a replica's tells them "
            "apart; adding them up would double the load",
            "scrape the pods once, or let Prometheus' API remove the copies: the message says what differs",
        ),
        Reason(
            "BrokenExporter",
            "counters that go back again and again, or histograms that are none; that is never taken for no load",
            "mend the app's exporter: several processes need one common registry; see the message",
        ),
        Reason("ClockSkew", "samples are from the future", "set the clocks of nodes and Prometheus"),
    ),
    "ScalingActive": (
        Reason("ValidMetricFound", "the metrics, or the usage, decide"),
        Reason("NotMeasured", "nothing has been decided yet", "wait some seconds"),
        Reason("Paused", "`spec.scaling.paused` is set", "set it to false"),
        Reason("Pinned", "`spec.replicas` is set", "remove it: `kubectl patch` with null"),
        Reason("ModeVertical", "in mode Vertical nobody decides on replicas"),
        Reason("Conflicted", "another autoscaler is on the Deployment", "delete it, or this ScalableApp"),
        Reason(
            "RolloutInProgress",
            "old and new pods share the load, so that measurements mislead: pods are only added, for requests and "
            "queries that are counted over the whole app",
            "wait for its end",
        ),
        Reason("ReplayingHistory", "after a restart an objective's history is being read", "wait a minute at most"),
        Reason("Fallback", "no metric can be used, and `fallback` decides", "mend the metrics: see MetricsAvailable"),
        Reason("NoReadyPods", "nothing serves, so nothing can be measured", "`kubectl describe pods` tells why"),
        Reason("AwaitingSamples", "pods became ready a moment ago", "wait a minute"),
    ),
    "ScalingLimited": (
        Reason("DesiredWithinRange", "no limit holds the replicas back"),
        Reason(
            "TooManyReplicas", "more were asked for than maxReplicas, or a schedule, allows", "raise it, if need be"
        ),
        Reason("TooFewReplicas", "fewer were asked for than minReplicas, or a schedule, allows"),
        Reason("ScaleUpStabilized", "the window of `behavior.scaleUp` holds", "wait; the message says until when"),
        Reason(
            "ScaleDownStabilized",
            "the window of `behavior.scaleDown` holds, or pods too many have not idled for long enough",
            "wait; the message says until when",
        ),
        Reason("ScaleUpLimit", "a policy of `behavior.scaleUp` slows the way up", "wait, or allow more"),
        Reason(
            "LoadSettling",
            "pods left a moment ago; no more go until the metrics show what the others took over",
        ),
        Reason("ScaleDownLimit", "a policy of `behavior.scaleDown` slows the way down"),
        Reason("SizeCoolDown", "sizes have just changed, so replicas are not cut yet", "wait two minutes"),
        Reason("Burst", "the short window needs the pods that would go"),
    ),
    "Paused": (
        Reason("NotPaused", "scaling is not paused"),
        Reason("Paused", "`spec.scaling.paused` is set", "set it to false"),
        Reason("Pinned", "`spec.replicas` is set", "remove it"),
    ),
    "Conflicted": (
        Reason(
            "ReplicasContested",
            "somebody else set the replicas three times in ten minutes; they are set back each time",
            "take `replicas` out of what the manager that the message names applies, or set `spec.scaling.paused`",
        ),
        Reason("NoConflict", "nobody else manages the app's objects"),
        Reason("Conflicted", "another autoscaler, or an owner of an object of the same name", "the message names it"),
    ),
    "Exposed": (
        Reason("Accepted", "every Gateway that `spec.route` names leads to the app"),
        Reason(
            "RoutePending",
            "a Gateway has not said yet whether it takes the HTTPRoute",
            "is its name right; does it run?",
        ),
        Reason(
            "GatewayAPIMissing",
            "the operator cannot use the Gateway API here; the message says why",
            "install the Gateway API, or use `spec.ingress`",
        ),
        Reason(
            "RouteNotAccepted",
            "a Gateway refuses the HTTPRoute; the message has its words",
            "`allowedRoutes`, host names",
        ),
        Reason("RouteNotResolved", "a Gateway takes the route, but cannot lead on from it", "read the message"),
    ),
    "Sized": (
        Reason("InSync", "pods have the size decided on"),
        Reason("Resizing", "pods get another size, the first one first", "wait"),
        Reason("RollingBack", "the new size did not do: pods go back to the last good one", "wait"),
        Reason("ResizeRolledBack", "a size was taken back; the next try waits", "read why; maybe set maxAllowed"),
    ),
}

DECISIONS: tuple[Reason, ...] = (
    Reason("DesiredWithinRange", "the metrics' number stands"),
    Reason("Activated", "a metric rose above its activationTarget: awake with 1 replica"),
    Reason("Inactive", "every metric is at or below its activationTarget: 0 replicas"),
    Reason("Burst", "sudden load in the short window adds pods, or keeps them"),
    Reason("Predicted", "the load is expected to rise before new pods would serve"),
    Reason("DryRun", "`spec.scaling.dryRun` kept it from being done", "remove dryRun to let it act"),
    Reason("RequestsRaised", "usage needs a larger request"),
    Reason("RequestsCut", "usage needs a smaller request"),
    Reason("CPUPressure", "pods are throttled or wait for CPU: more at once"),
    Reason("OOMKilled", "a pod was killed for its memory: more at once"),
    Reason("RequestSet", "there was no request"),
    Reason("LimitSet", "the limit follows `vertical.limits`"),
    Reason("SizeKept", "the size fits, or a change of it waits; the message says which"),
    Reason("PodsUnsettled", "pods restart or a rollout is under way: usage says nothing"),
    Reason("AwaitingHistory", "usage of before a restart is being read", "wait a minute"),
    Reason("ResizeInProgress", "a change of size is under way"),
    Reason("BackOff", "this size was taken back a short while ago", "wait, or set maxAllowed"),
    Reason("ReplicasFirst", "replicas move first; sizes wait for them"),
)

EVENTS: tuple[Reason, ...] = (
    Reason("SuccessfulRescale", "Normal: replicas were changed; the message is the decision's"),
    Reason("Resizing", "Normal: a change of size begins with one pod"),
    Reason("FirstPodPassed", "Normal: the first pod does well; the others follow"),
    Reason("Resized", "Normal: all pods have the new size"),
    Reason("ResizeByRollout", "Normal: in place did not work; a rollout does it"),
    Reason("StillTooSmall", "Warning: killed for its memory after the raise; it is raised again"),
    Reason("ResizeRolledBack", "Warning: the first pod did badly; all go back", "read why"),
    Reason("SizeRestored", "Normal: all pods are back at the last good size"),
)


def explained() -> frozenset[str]:
    """The names of all reasons in these tables."""
    tables = (*CONDITIONS.values(), DECISIONS, EVENTS)
    return frozenset(reason.name for table in tables for reason in table)
