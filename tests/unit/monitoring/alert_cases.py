"""Situations for each alert, as series in promtool's notation, one sample a minute: those that fire it, and those that
look alike and do not.
"""

from typing import NamedTuple


class Case(NamedTuple):
    """After so many minutes of these series, the alert fires or not."""

    alert: str
    situation: str
    fires: bool
    minutes: int
    series: dict[str, str]


OPERATOR = 'job="operator",instance="a"'
APP = 'namespace="shop",app="web"'
ACTS = {f"scalableapp_lease_held{{{OPERATOR}}}": "1x600", f"scalableapp_tick_interval_seconds{{{OPERATOR}}}": "5x600"}


def condition(kind: str, status: str, reason: str, values: str = "1x600") -> dict[str, str]:
    labels = f'{APP},type="{kind}",status="{status}",reason="{reason}"'
    return {f"scalableapp_condition{{{OPERATOR},{labels}}}": values}


def of_app(name: str, values: str, more: str = "", operator: str = OPERATOR) -> dict[str, str]:
    return {f"scalableapp_{name}{{{operator},{APP}{more}}}": values}


def of_operator(name: str, values: str, more: str = "") -> dict[str, str]:
    return {f"scalableapp_{name}{{{OPERATOR}{more}}}": values}


def metric(name: str, value: str, target: str) -> dict[str, str]:
    label = f',metric="{name}"'
    return of_app("metric_value", value, label) | of_app("metric_target", target, label)


def queries(kind: str, within_half: str, within_5: str) -> dict[str, str]:
    name, label = "prometheus_query_duration_seconds_bucket", f',type="{kind}"'
    bounds = {"0.5": within_half, "2.5": within_half, "5.0": within_5, "+Inf": within_5}
    return {
        key: value
        for bound, values in bounds.items()
        for key, value in of_operator(name, values, f'{label},le="{bound}"').items()
    }


def requests(**codes: str) -> dict[str, str]:
    name = "api_request_duration_seconds_count"
    return {
        key: value
        for code, values in codes.items()
        for key, value in of_operator(name, values, f',verb="GET",code="{code[1:]}"').items()
    }


def answered(within_1: str) -> dict[str, str]:
    """30 answers a minute of the API server, so many of them within a second."""
    name = "api_request_duration_seconds_bucket"
    bounds = {"1.0": within_1, "2.5": "0+30x600", "+Inf": "0+30x600"}
    return {
        key: value
        for bound, values in bounds.items()
        for key, value in of_operator(name, values, f',verb="GET",code="200",le="{bound}"').items()
    }


BOUND = condition("ScalingLimited", "True", "TooManyReplicas")
BUDGET = of_app("objective_budget_ratio", "0.005x600")

CASES = (
    Case("ScalableAppOperatorDown", "nobody holds the Lease", True, 5, of_operator("lease_held", "0x600")),
    Case("ScalableAppOperatorDown", "it is gone", True, 15, of_operator("lease_held", "1x5 stale")),
    Case("ScalableAppOperatorDown", "one acts and one waits", False, 10, ACTS | {"scalableapp_lease_held": "0x600"}),
    Case("ScalableAppOperatorDown", "one minute of a new rollout", False, 7, of_operator("lease_held", "1x5 0 1x600")),
    Case(
        "ScalableAppOperatorRestarting",
        "five starts in an hour",
        True,
        60,
        {f"process_start_time_seconds{{{OPERATOR}}}": "0x9 100x9 200x9 300x9 400x99"}
        | of_operator("build_info", "1x600"),
    ),
    Case(
        "ScalableAppOperatorRestarting",
        "one restart",
        False,
        60,
        {f"process_start_time_seconds{{{OPERATOR}}}": "0x9 100x99"} | of_operator("build_info", "1x600"),
    ),
    Case(
        "ScalableAppOperatorRestarting",
        "another program",
        False,
        60,
        {'process_start_time_seconds{job="other"}': "0x9 100x9 200x9 300x9 400x99"}
        | of_operator("build_info", "1x600"),
    ),
    Case("ScalableAppLoopStalled", "no tick", True, 10, ACTS | of_operator("last_tick_timestamp_seconds", "60x600")),
    Case("ScalableAppLoopStalled", "ticks", False, 10, ACTS | of_operator("last_tick_timestamp_seconds", "0+60x600")),
    Case(
        "ScalableAppLoopStalled",
        "one that waits for the Lease",
        False,
        10,
        of_operator("last_tick_timestamp_seconds", "0x600")
        | of_operator("tick_interval_seconds", "0x600")
        | of_operator("lease_held", "0x600"),
    ),
    Case(
        "ScalableAppLoopFailing",
        "answers that cannot be read",
        True,
        10,
        of_operator("failed_ticks_total", "0+12x600", ',cause="Metrics"'),
    ),
    Case(
        "ScalableAppLoopFailing",
        "one failed evaluation, long ago",
        False,
        10,
        of_operator("failed_ticks_total", "0x3 1x600", ',cause="Metrics"'),
    ),
    Case(
        "ScalableAppLoopSlow",
        "ticks of 4.5 s",
        True,
        30,
        ACTS
        | of_operator("tick_duration_seconds_sum", "0+54x600")
        | of_operator("tick_duration_seconds_count", "0+12x600"),
    ),
    Case(
        "ScalableAppLoopSlow",
        "ticks of half a second",
        False,
        30,
        ACTS
        | of_operator("tick_duration_seconds_sum", "0+6x600")
        | of_operator("tick_duration_seconds_count", "0+12x600"),
    ),
    Case("ScalableAppLoopSlow", "an event loop that lags", True, 30, of_operator("event_loop_lag_seconds", "2x600")),
    Case(
        "ScalableAppLoopSlow",
        "one hiccup",
        False,
        30,
        of_operator("event_loop_lag_seconds", "0x20 3 0x600"),
    ),
    Case(
        "ScalableAppOperatorFault",
        "one fault",
        True,
        15,
        of_operator("failures_total", "0x10 1x600", ',kind="InternalError"'),
    ),
    Case(
        "ScalableAppOperatorFault",
        "a fault of an hour ago",
        False,
        80,
        of_operator("failures_total", "0x10 1x600", ',kind="InternalError"'),
    ),
    Case(
        "ScalableAppOperatorFault",
        "the API server's faults",
        False,
        15,
        of_operator("failures_total", "0+5x600", ',kind="Unavailable"')
        | of_operator("failures_total", "0x600", ',kind="InternalError"'),
    ),
    Case(
        "ScalableAppPrometheusUnreachable",
        "no answers",
        True,
        15,
        of_operator("data_problems_total", "0+12x600", ',problem="PrometheusUnreachable"'),
    ),
    Case(
        "ScalableAppPrometheusUnreachable",
        "refused access",
        True,
        15,
        of_operator("data_problems_total", "0+12x600", ',problem="PrometheusUnauthorized"'),
    ),
    Case(
        "ScalableAppPrometheusUnreachable",
        "away for a minute",
        False,
        25,
        of_operator("data_problems_total", "0x10 12x600", ',problem="PrometheusUnreachable"'),
    ),
    Case(
        "ScalableAppPrometheusUnreachable",
        "another problem",
        False,
        15,
        of_operator("data_problems_total", "0+12x600", ',problem="NoData"')
        | of_operator("data_problems_total", "0x600", ',problem="PrometheusUnreachable"'),
    ),
    Case("ScalableAppPrometheusSlow", "most take 3 s", True, 30, queries("CPU", "0+2x600", "0+12x600")),
    Case("ScalableAppPrometheusSlow", "all are quick", False, 30, queries("CPU", "0+12x600", "0+12x600")),
    Case("ScalableAppPrometheusSlow", "only history is slow", False, 30, queries("History", "0+2x600", "0+12x600")),
    Case("ScalableAppNamespaceNotServed", "one is gone", True, 10, of_operator("waiting_for_namespaces", "0x2 1x600")),
    Case("ScalableAppNamespaceNotServed", "all are there", False, 10, of_operator("waiting_for_namespaces", "0x600")),
    Case("ScalableAppApiSlow", "a third takes 2 s", True, 30, answered("0+20x600")),
    Case("ScalableAppApiSlow", "all within a second", False, 30, answered("0+30x600")),
    Case("ScalableAppApiErrors", "a third fails", True, 30, requests(_200="0+20x600", _503="0+6x600", _0="0+4x600")),
    Case("ScalableAppApiErrors", "refusals are answers", False, 30, requests(_200="0+20x600", _409="0+10x600")),
    Case("ScalableAppApiErrors", "one in a hundred", False, 30, requests(_200="0+99x600", _500="0+1x600")),
    Case("ScalableAppUnavailable", "no pod is ready", True, 10, condition("Available", "False", "PodsNotReady")),
    Case("ScalableAppUnavailable", "it is deployed", False, 10, condition("Available", "False", "Deploying")),
    Case(
        "ScalableAppUnavailable",
        "a short break",
        False,
        10,
        condition("Available", "False", "PodsNotReady", "1x3 stale"),
    ),
    Case(
        "ScalableAppPodsNotStarting",
        "one pod hangs",
        True,
        20,
        of_app("current_replicas", "5x600") | of_app("ready_replicas", "4x600"),
    ),
    Case(
        "ScalableAppPodsNotStarting",
        "pods start",
        False,
        20,
        of_app("current_replicas", "5x600") | of_app("ready_replicas", "4x5 5x600"),
    ),
    Case(
        "ScalableAppPodsNotStarting",
        "more are ready than asked for",
        False,
        20,
        of_app("current_replicas", "4x600") | of_app("ready_replicas", "5x600"),
    ),
    Case("ScalableAppMetricsMissing", "no data", True, 15, condition("MetricsAvailable", "False", "NoData")),
    Case(
        "ScalableAppMetricsMissing",
        "for changing reasons",
        True,
        20,
        condition("MetricsAvailable", "False", "NoData", "1x8 stale")
        | condition("MetricsAvailable", "False", "PartialData", "_x9 1x600"),
    ),
    Case(
        "ScalableAppMetricsMissing",
        "not measured yet",
        False,
        15,
        condition("MetricsAvailable", "Unknown", "NotMeasured"),
    ),
    Case("ScalableAppAtMaxReplicas", "over target", True, 25, BOUND | metric("CPU", "0.5x600", "0.3x600")),
    Case("ScalableAppAtMaxReplicas", "on target", False, 25, BOUND | metric("CPU", "0.3x600", "0.3x600")),
    Case(
        "ScalableAppAtMaxReplicas",
        "over target with room",
        False,
        25,
        condition("ScalingLimited", "True", "ScaleUpLimit") | metric("CPU", "0.5x600", "0.3x600"),
    ),
    Case("ScalableAppConflicted", "an HPA", True, 10, condition("Conflicted", "True", "Conflicted")),
    Case("ScalableAppConflicted", "paused", False, 10, condition("Paused", "True", "Paused")),
    Case("ScalableAppSpecRefused", "a wrong spec", True, 10, condition("Ready", "False", "InvalidSpec")),
    Case("ScalableAppSpecRefused", "pods not ready", False, 10, condition("Ready", "False", "PodsNotReady")),
    Case(
        "ScalableAppUnavailable",
        "no pod is ready, and one says why",
        True,
        10,
        condition("Available", "False", "PodsFailing"),
    ),
    Case("ScalableAppUnavailable", "no pod is created", True, 10, condition("Available", "False", "ReplicaFailure")),
    Case("ScalableAppUnavailable", "not deployed yet", False, 10, condition("Available", "False", "Deploying")),
    Case("ScalableAppPodsNotStarting", "a quota of pods", True, 20, condition("Ready", "False", "ReplicaFailure")),
    Case(
        "ScalableAppPodsNotStarting",
        "a stuck rollout",
        True,
        20,
        condition("Ready", "False", "ProgressDeadlineExceeded"),
    ),
    Case("ScalableAppApplyFailed", "a quota", True, 15, condition("Ready", "False", "ApplyFailed")),
    Case("ScalableAppApplyFailed", "replicas refused", True, 15, condition("Ready", "False", "FailedRescale")),
    Case("ScalableAppApplyFailed", "tried again", False, 15, condition("Ready", "False", "ApplyFailed", "1x4 stale")),
    Case("ScalableAppNotEvaluated", "two hours", True, 130, of_app("last_decision_timestamp_seconds", "0x600")),
    Case("ScalableAppNotEvaluated", "each minute", False, 130, of_app("last_decision_timestamp_seconds", "0+60x600")),
    Case(
        "ScalableAppNotEvaluated",
        "by an operator that took over",
        False,
        130,
        of_app("last_decision_timestamp_seconds", "0x600")
        | of_app("last_decision_timestamp_seconds", "0+60x600", operator='job="operator",instance="b"'),
    ),
    Case("ScalableAppResizeRolledBack", "taken back", True, 5, condition("Sized", "False", "ResizeRolledBack")),
    Case("ScalableAppResizeRolledBack", "a change under way", False, 5, condition("Sized", "False", "Resizing")),
    Case(
        "ScalableAppObjectiveMissed",
        "a tenth of the minutes is bad",
        True,
        300,
        BUDGET | metric("Objective", ("0.2 " + "0.01 " * 9) * 40, "0.05x600"),
    ),
    Case(
        "ScalableAppObjectiveMissed",
        "bad minutes of two hours ago",
        False,
        300,
        BUDGET | metric("Objective", "0.2x120 0.01x600", "0.05x600"),
    ),
    Case(
        "ScalableAppObjectiveMissed",
        "two bad minutes in 6 hours",
        False,
        360,
        BUDGET | metric("Objective", "0.01x100 0.2x1 0.01x600", "0.05x600"),
    ),
    Case(
        "ScalableAppObjectiveMissed",
        "a start that is slow",
        False,
        30,
        BUDGET | metric("Objective", "0.2x600", "0.05x600"),
    ),
)
