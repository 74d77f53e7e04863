"""Write docs/metrics.md from the operator's own metrics; with --check, fail when it is not current."""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "operator"))

from prometheus_client import Metric  # noqa: E402 - as below

from scalableapp.adapters.telemetry import Telemetry  # noqa: E402 - runs without the package being installed
from scalableapp.adapters.telemetry_apps import AppView  # noqa: E402 - as above
from scalableapp.core.explain import Reason  # noqa: E402 - as above
from scalableapp.core.model import AppKey, DataProblem, Decision, MetricReport  # noqa: E402 - as above
from scalableapp.core.size import Amount, Size  # noqa: E402 - as above
from scalableapp.core.status.conditions import Abnormal  # noqa: E402 - as above
from scalableapp.errors import Unavailable  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Mapping

TARGET = ROOT / "docs" / "metrics.md"
PREFIX = "scalableapp_"

# What to do with each metric. A name in brackets is that of an alert, and becomes a link to its runbook.
USES: "Mapping[str, str]" = {
    "build": "Versions in use: `count by (version) (scalableapp_build_info)`.",
    "lease_held": "`sum(scalableapp_lease_held)` must be 1. If 0, nothing is scaled (ScalableAppOperatorDown).",
    "waiting_for": "What is missing while nothing is scaled; `/readyz` and the log say why (ScalableAppOperatorDown).",
    "waiting_for_namespaces": "Must be 0; `/readyz` and the log name them (ScalableAppNamespaceNotServed).",
    "tick_interval_seconds": "Compare it with the duration of an evaluation.",
    "tick_duration_seconds": "Mean and quantiles must stay well below the interval (ScalableAppLoopSlow).",
    "last_tick_timestamp_seconds": "If it is several intervals old, nothing is decided (ScalableAppLoopStalled).",
    "failed_ticks_total": "Must stay 0: no app follows its load while it rises (ScalableAppLoopFailing).",
    "event_loop_lag_seconds": "More than a second: the process lacks CPU (ScalableAppLoopSlow).",
    "work_queue_depth": "Includes back-offs and planned reconciliations. If it only grows, the API is slow or rejects "
    "requests.",
    "failures_total": "`InternalError` must stay 0 (ScalableAppOperatorFault); the other kinds are in each app's "
    "`Ready` condition.",
    "apps": "Number of apps, and of those that are not ready.",
    "decisions_total": "What limits scaling across the cluster: the share of `TooManyReplicas`, `Fallback`, `Paused`.",
    "data_problems_total": "Data problems of all apps (ScalableAppPrometheusUnreachable); `condition` shows which app "
    "has them.",
    "prometheus_query_duration_seconds": "Queries time out after 4 s (ScalableAppPrometheusSlow); `History` is "
    "queried only after a restart, `Served` (the request metrics of pods) once a minute.",
    "api_request_duration_seconds": "Rate, latency and errors of the API server as seen by the operator "
    "(ScalableAppApiErrors, ScalableAppApiSlow).",
    "desired_replicas": "The decision. If it differs from `current_replicas` for long: dry run, or failing writes.",
    "current_replicas": "Compare it with `desired_replicas` and `ready_replicas`.",
    "ready_replicas": "Below `current_replicas` for long: pods cannot start (ScalableAppPodsNotStarting).",
    "min_replicas": "Plot it with the replicas: if an app always stays at it, the minimum may be too high.",
    "max_replicas": "Plot it with the replicas: an app that reaches it cannot grow (ScalableAppAtMaxReplicas).",
    "metric_value": "Divide by the target: `scalableapp_metric_value / scalableapp_metric_target` is 1 on target.",
    "metric_target": "As above.",
    "objective_budget_ratio": "Compare it with the share of bad minutes (ScalableAppObjectiveMissed).",
    "pod_cpu_request_cores": "If `recommended` differs from `current` for long: bounds, or a delayed change "
    "(ScalableAppResizeRolledBack).",
    "pod_memory_request_bytes": "As above.",
    "last_decision_timestamp_seconds": "If one app's age grows, it cannot be decided on (ScalableAppNotEvaluated).",
    "condition": 'Alert on it: `scalableapp_condition{type="MetricsAvailable",status="False"}`.',
}
_UNITS = {"seconds": "seconds", "ratio": "ratio (0..1)", "replicas": "pods", "cores": "cores", "bytes": "bytes"}

_HEAD = """\
<!-- Generated from operator/scalableapp/adapters/telemetry*.py by `make metrics-reference`. Edit those instead. -->
# Metrics of the operator

`GET :8080/metrics` (`SCALABLEAPP_METRICS_PORT`) returns all metrics, without authentication.
[monitoring.md](monitoring.md) explains how to scrape them, and describes the dashboards and alerts that use them.

Names are stable: the changelog lists any change. Label values come from fixed sets, except `namespace`, `app` and
`metric` (the names of your apps and their metrics). If an app's `namespace` appears as `exported_namespace`, the scrape
configuration lacks `honor_labels: true`.

"""
_TAIL = f"""\
## Values of labels

`reason` of decisions: {", ".join(f"`{reason}`" for reason in Reason)}; and any `problem` that causes a hold.

`problem`: {", ".join(f"`{problem}`" for problem in DataProblem)}.

`kind` of failures: `InternalError` is a bug in the operator; `Unavailable`, `Conflict`, `Rejected`, `NotFound` and
`Terminating` are answers of the API server.

`code` of requests to the API: the HTTP status, or `0` if there was no answer in time.

## Of the process

`process_resident_memory_bytes`, `process_cpu_seconds_total`, `process_open_fds`, `process_start_time_seconds` and the
other `process_*` metrics, `python_gc_*` and `python_info` are the standard metrics of `prometheus_client`.
"""


# An app with a value for every metric.
DECISION = Decision(
    datetime.now(UTC),
    replicas_from=2,
    replicas_to=3,
    reason=Reason.DESIRED_WITHIN_RANGE,
    message="",
    steps=(),
    metrics=(MetricReport("RequestsPerSecond", "75", "50", 3), MetricReport("Objective", "0.08", "0.05", 3)),
)
_SIZE = Size(Amount(0.25), Amount(2**27))
_LIMITED = Abnormal("ScalingLimited", "True", Reason.TOO_MANY_REPLICAS)
_CONFLICTED = Abnormal("Conflicted", "True", "Conflicted")
APP = AppView(AppKey("shop", "web"), DECISION, (2, 2), (1, 8), 0.005, (_LIMITED, _CONFLICTED), _SIZE, _SIZE)


def exercised() -> Telemetry:
    """Telemetry in which every metric has a sample."""
    telemetry = Telemetry()
    telemetry.paced(5.0)
    telemetry.waits_for(None)
    telemetry.decided(DECISION)
    telemetry.readiness({"True": 1})
    telemetry.requested("GET", 200, 0.01)
    telemetry.queried("RequestsPerSecond", 0.01)
    telemetry.failed(Unavailable("x"))
    telemetry.ticked(0.1, 0, [APP])
    return telemetry


def families() -> Iterator[Metric]:
    """The operator's own metrics, each with a sample."""
    return (family for family in exercised().registry.collect() if family.name.startswith(PREFIX))


def rendered() -> str:
    """The page's whole content. Raises KeyError for a metric without a use."""
    rows = {False: "", True: ""}
    for family in families():
        rows["namespace" in _labels(family)] += _row(family)
    table = "| metric | type, unit | labels | meaning | what to do with it |\n| --- | --- | --- | --- | --- |\n"
    parts = (f"## Of the operator\n\n{table}{rows[False]}\n", f"## Of each app\n\n{table}{rows[True]}\n")
    return _HEAD + "".join(parts) + _TAIL


def _row(family: Metric) -> str:
    name = shown_name(family)
    labels = ", ".join(f"`{label}`" for label in _labels(family)) or "none"
    unit = next((text for suffix, text in _UNITS.items() if name.endswith(suffix)), "")
    kind = ", ".join(filter(None, (family.type, unit)))
    use = USES[name.removeprefix(PREFIX).removesuffix("_info")]
    use = re.sub(r"\((ScalableApp\w+)\)", r"([\1](runbooks/\1.md))", use)
    return f"| `{name}` | {kind} | {labels} | {family.documentation} | {use} |\n"


def shown_name(family: Metric) -> str:
    """As it stands on the page."""
    return family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")


def _labels(family: Metric) -> list[str]:
    return [label for label in family.samples[0].labels if label != "le"]


def main() -> int:
    """Write or check the file. Returns the exit code."""
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(rendered())
        print(f"wrote {TARGET.relative_to(ROOT)}")
        return 0
    if TARGET.exists() and TARGET.read_text() == rendered():
        return 0
    print(f"{TARGET.relative_to(ROOT)} is out of date; run `make metrics-reference`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
