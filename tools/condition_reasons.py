"""The reasons that conditions can carry. reasons.py has the others, and what all of them are for."""

from typing import NamedTuple


class Reason(NamedTuple):
    """A reason, what it means, and what to do about it."""

    name: str
    meaning: str
    fix: str = "nothing"


CONDITIONS: dict[str, tuple[Reason, ...]] = {
    "Ready": (
        Reason("InSync", "everything is deployed as specified, and pods are ready"),
        Reason(
            "InvalidSpec",
            "a field is wrong, two contradict each other, or the pods that podTemplate makes are refused; the running "
            "app stays as it was",
            "fix the field that the message names",
        ),
        Reason(
            "Deploying",
            "the Deployment does not exist yet, or that of a deleted app is still terminating",
            "wait a few seconds",
        ),
        Reason(
            "ApplyFailed",
            "the API server rejected a child object of the app, or another manager keeps changing it",
            "read the message: it names the quota, admission policy, RBAC rule or manager; the operator retries",
        ),
        Reason(
            "FailedRescale",
            "the replica count could not be set",
            "read the message: it has the words of the admission webhook or policy; the operator retries at each "
            "evaluation",
        ),
        Reason("TargetPending", "the workload that `spec.targetRef` names has not been read yet", "wait a few seconds"),
        Reason(
            "TargetNotFound",
            "the workload that `spec.targetRef` names does not exist",
            "correct `spec.targetRef`, or create the workload: nothing else has to be done when it is there",
        ),
        Reason(
            "InvalidTarget",
            "the workload cannot be scaled as the spec has it: its kind has no scale subresource, or a percentage "
            "is of a request that a container does not have",
            "see the message: it names the kind, or the container",
        ),
        Reason(
            "TargetUnreadable",
            "the operator may not read the workload, its pods, or its scale",
            "grant the rule that the message names: docs/targets.md has a ClusterRole to copy",
        ),
        Reason("PodsNotReady", "no pod is ready", "see `kubectl describe pods`"),
        Reason(
            "PodsFailing",
            "no pod is ready, and a pod reports an error, which is in the message",
            "see the message: the image, its user (`spec.securityContext`), a ConfigMap, room in the cluster",
        ),
        Reason(
            "ReplicaFailure",
            "the API server refuses to create pods of the app",
            "see the message: raise the ResourceQuota it names, or meet the admission webhook or policy",
        ),
        Reason(
            "ProgressDeadlineExceeded",
            "the Deployment's rollout has made no progress for 10 minutes; the pods before it still serve",
            "see the message for what new pods report; fix the spec, or go back to the image that worked",
        ),
        Reason(
            "Conflicted",
            "an object with the app's name exists and belongs to something else",
            "rename or delete one of them",
        ),
        Reason(
            "InternalError",
            "an internal error of the operator; the app stays unchanged",
            "report it with the operator's log; other apps are not affected",
        ),
    ),
    "Available": (
        Reason("PodsReady", "at least one pod is ready"),
        Reason("ScaledToZero", "the app is scaled to 0 replicas: by `spec.replicas`, or because it is inactive"),
        Reason("PodsNotReady", "no pod is ready", "see `kubectl describe pods`"),
        Reason(
            "PodsFailing", "no pod is ready, and a pod reports an error, which is in the message", "see the message"
        ),
        Reason("ReplicaFailure", "no pod is ready, as the API server refuses to create them", "see the message"),
        Reason("ProgressDeadlineExceeded", "no pod is ready, and the rollout makes no progress", "see the message"),
        Reason("Deploying", "there is no Deployment yet", "wait a few seconds"),
    ),
    "MetricsAvailable": (
        Reason("MetricsRead", "all metrics are available"),
        Reason(
            "PodsWithoutSamples",
            "all metrics are available, but some pods have no sample, though they have been ready for long enough; a "
            "scale-down counts them as on target",
            "check on the targets page of Prometheus that it scrapes the pods that the message counts",
        ),
        Reason(
            "NotMeasured", "a metric is not available yet: no pod is ready, or not for long enough", "wait a minute"
        ),
        Reason(
            "PrometheusUnreachable",
            "Prometheus did not respond, or not in time",
            "check that Prometheus runs, and `SCALABLEAPP_PROMETHEUS_URL` or `url` in the connection file",
        ),
        Reason(
            "PrometheusUnauthorized",
            "Prometheus, or a proxy in front of it, denies access (401, 403)",
            "state what it asks for in a [connection file](prometheus.md); the message names what it was shown",
        ),
        Reason(
            "PrometheusRedirects",
            "the address of Prometheus redirects: to a login page, to another server, or from https to http",
            "set `SCALABLEAPP_PROMETHEUS_URL`, or `url` in the connection file, to the address that responds",
        ),
        Reason("QueryFailed", "Prometheus rejected the query", "try it on the query page of Prometheus"),
        Reason(
            "NoData",
            "no pod of the app has a sample",
            "`kubectl scalableapp check` tells whether Prometheus scrapes the pods and whether they serve the metric",
        ),
        Reason("NotANumber", "the value is NaN", "look for 0 / 0 in the query"),
        Reason("Infinite", "the value is infinite", "look for a division by zero in the query"),
        Reason("NegativeValue", "the value is below 0, which a load never is", "look for a subtraction in the query"),
        Reason(
            "StaleData",
            "the newest sample is too old",
            "check that Prometheus scrapes the pods, and that the operator is not falling behind",
        ),
        Reason(
            "PartialData",
            "fewer than half of the ready pods have a sample, the response is marked as partial (`isPartial`), or the "
            "pods that the operator knows differ from what the Deployment counts",
            "check which targets, or which stores behind the Prometheus API, are down; where the message says that "
            "they differ, look in the operator's log for a broken watch on pods",
        ),
        Reason(
            "PrometheusWarnings",
            "the response has warnings, so part of it may be missing, or Prometheus doubts the query; hints "
            "(`PromQL info`) are ignored",
            "see the message",
        ),
        Reason("WrongResultType", "the query does not return a single number", "aggregate it: `sum(...)`"),
        Reason(
            "ScrapesTooRare",
            "the pods are scraped less often than every 60 s; the message has the interval",
            "shorten the scrape interval: 15 s is good, 5 s for `burst` and `objective`",
        ),
        Reason(
            "DuplicateSeries",
            "there are several series per pod that differ in no label known to name a job or a replica; "
            "adding them up would multiply the load",
            "scrape the pods once, or let the Prometheus API deduplicate: the message says what differs",
        ),
        Reason(
            "BrokenExporter",
            "counters go backwards again and again, or histograms are invalid; that never counts as no load",
            "fix the app's exporter: several processes need one common registry; see the message",
        ),
        Reason(
            "TooManySeries",
            "the pods of the namespace have more series of a metric, or longer labels, than can be read together with "
            "those of others, or a query returns more than 256 KiB",
            "remove buckets and labels such as `replica` from the metric, or aggregate the query; the message has the "
            "numbers",
        ),
        Reason(
            "AmbiguousRequests",
            "the pods serve the request metrics of several request sources, and it is not clear which of them counts",
            "name one of them in `spec.monitoring.requests`",
        ),
        Reason(
            "UnknownRequestSource",
            "there is no request source of the name in `spec.monitoring.requests`, or the RequestSource is wrong",
            "correct the name, or the field of the RequestSource that the message names ([requests.md](requests.md))",
        ),
        Reason(
            "UnsuitableRequestSource",
            "the request source cannot serve the metric: it has no histogram, or counts per app or per pod only",
            "see the message: what to switch on in the app's framework, or which field to remove",
        ),
        Reason("ClockSkew", "samples are from the future", "synchronise the clocks of nodes and Prometheus"),
    ),
    "ObjectiveMet": (
        Reason("ObjectiveMet", "the requests of the last minutes were as fast as the objective demands"),
        Reason(
            "ObjectiveMissed",
            "more requests were slow or failed than the objective allows; the message says how many. No pod is removed",
            "nothing for a minute; if it lasts, see `maxReplicas` and ScalableAppObjectiveMissed",
        ),
        Reason(
            "PodsDoNotHelp",
            "the objective is missed, and more pods made no difference, or one pod alone is slow; no more are added "
            "for that",
            "see the message: failing routes, a dependency at its limit, slow requests at light load, or a slow pod",
        ),
        Reason(
            "TooFewRequests",
            "fewer than 20 requests in 10 minutes, which say nothing; the app stays at the pods that its load needs",
        ),
        Reason("NotMeasured", "requests or their durations cannot be read; no pod is removed", "see MetricsAvailable"),
    ),
    "ScalingActive": (
        Reason("ValidMetricFound", "the metrics, or the usage, determine the replicas or sizes"),
        Reason("NotMeasured", "no decision has been made yet", "wait a few seconds"),
        Reason(
            "NotEvaluated",
            "evaluations of all apps have failed for three intervals; the message says since when and why",
            "report it with the operator's log: see the alert ScalableAppLoopFailing",
        ),
        Reason("Paused", "`spec.scaling.paused` is set", "set it to false"),
        Reason("Pinned", "`spec.replicas` is set", "remove it with `kubectl patch` and null"),
        Reason("ModeVertical", "in mode Vertical the replica count stays unchanged"),
        Reason(
            "Conflicted",
            "another autoscaler targets the Deployment, or an older ScalableApp has the same targetRef",
            "delete it, or this ScalableApp",
        ),
        Reason(
            "WaitingForHandOver",
            "another autoscaler (an HPA, a ScaledObject) scales the workload that `spec.targetRef` names",
            "delete it to hand over; the replicas that run then are where this ScalableApp starts from",
        ),
        Reason(
            "ReplicasOwnedElsewhere",
            "somebody has set the replicas of the workload again three times in 10 minutes; nothing is written for 10 "
            "minutes",
            "see the message: it names who, and how Argo CD, Flux or Helm leave replicas to others",
        ),
        Reason(
            "RolloutInProgress",
            "old and new pods share the load, which distorts the metrics: replicas are only added, by requests and "
            "queries that are counted over the whole app",
            "wait until the rollout is complete",
        ),
        Reason(
            "ReplayingHistory", "after a restart the history of an objective is being loaded", "wait up to a minute"
        ),
        Reason(
            "ObjectiveMissed",
            "more requests are slow or fail than the objective allows, so no pod is removed",
            "see the condition ObjectiveMet",
        ),
        Reason("Fallback", "no metric can be used, and `fallback` applies", "fix the metrics: see MetricsAvailable"),
        Reason("NoReadyPods", "no pod is ready, so nothing can be measured", "see `kubectl describe pods`"),
        Reason("AwaitingSamples", "pods became ready a few seconds ago", "wait a minute"),
        Reason("FailedRescale", "the decision could not be carried out", "see Ready"),
    ),
    "ScalingLimited": (
        Reason("DesiredWithinRange", "no limit applies"),
        Reason(
            "TooManyReplicas",
            "the metrics need more replicas than maxReplicas, or a schedule, allows",
            "raise it if necessary",
        ),
        Reason("TooFewReplicas", "the metrics need fewer replicas than minReplicas, or a schedule, allows"),
        Reason(
            "ScaleUpStabilized",
            "the stabilisation window of `behavior.scaleUp` holds the replicas",
            "wait; the message says until when",
        ),
        Reason(
            "ScaleDownStabilized",
            "the stabilisation window of `behavior.scaleDown` holds the replicas, or surplus pods have not been idle "
            "for long enough",
            "wait; the message says until when",
        ),
        Reason("ScaleUpLimit", "a policy of `behavior.scaleUp` limits the change", "wait, or allow more"),
        Reason(
            "LoadSettling",
            "replicas were just changed, pods were just removed, or the operator has just started; no scale-down until "
            "the metrics show the load on the pods that are left",
        ),
        Reason("ScaleDownLimit", "a policy of `behavior.scaleDown` limits the change"),
        Reason(
            "SizeCoolDown", "the size of the pods has just changed, so there is no scale-down yet", "wait two minutes"
        ),
        Reason(
            "PartialData",
            "the pods that the operator knows differ from what the Deployment counts, so there is no scale-down",
            "see MetricsAvailable",
        ),
        Reason("Burst", "the short window needs the pods that would be removed"),
    ),
    "Paused": (
        Reason("NotPaused", "scaling is not paused"),
        Reason("Paused", "`spec.scaling.paused` is set", "set it to false"),
        Reason("Pinned", "`spec.replicas` is set", "remove it"),
    ),
    "Conflicted": (
        Reason(
            "ReplicasContested",
            "another manager set the replicas three times in ten minutes; the operator reverted it each time",
            "remove `replicas` from what the manager in the message applies, or set `spec.scaling.paused`",
        ),
        Reason(
            "StatusContested",
            "another manager changed the status three times in ten minutes; the operator reverted it each time",
            "stop the manager in the message, or take away its right to `scalableapps/status`",
        ),
        Reason(
            "ReplicasOwnedElsewhere",
            "somebody has set the replicas of the workload again three times in 10 minutes; nothing is written for 10 "
            "minutes",
            "see the message: it names who, and what leaves replicas to others",
        ),
        Reason("NoConflict", "no other manager changes the app's objects"),
        Reason(
            "Conflicted", "another autoscaler, or another owner of an object with the same name", "the message names it"
        ),
    ),
    "Exposed": (
        Reason("Accepted", "all Gateways of `spec.route` route to the app"),
        Reason(
            "RoutePending",
            "a Gateway has not reported yet whether it accepts the HTTPRoute",
            "check its name, and that it runs",
        ),
        Reason(
            "GatewayAPIMissing",
            "the operator cannot use the Gateway API in this cluster; the message says why",
            "install the Gateway API, or use `spec.ingress`",
        ),
        Reason(
            "RouteNotAccepted",
            "a Gateway rejects the HTTPRoute; the message contains its reason",
            "check `allowedRoutes` and the host names",
        ),
        Reason(
            "RouteNotResolved", "a Gateway accepts the route, but cannot resolve its references", "read the message"
        ),
    ),
    "Sized": (
        Reason("InSync", "pods have the decided size"),
        Reason("Resizing", "pods are being resized", "wait"),
        Reason("RollingBack", "the new size caused problems: pods return to the last good size", "wait"),
        Reason(
            "ResizeRolledBack",
            "a new size was rolled back; the next attempt waits",
            "read the message; set maxAllowed if necessary",
        ),
        Reason(
            "SizeLimited",
            "a bound keeps pods from what they need: maxAllowed, a LimitRange, a ResourceQuota or the largest node",
            "raise the bound that the message names",
        ),
        Reason(
            "LimitsUnreadable",
            "a LimitRange or ResourceQuota of the namespace contains a quantity that cannot be read: sizes are not "
            "raised, since the API server might reject the pods",
            "correct the object that the message names",
        ),
    ),
}
