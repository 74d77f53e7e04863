"""The Grafana dashboards, as tables: all apps, one app, the operator."""

from tools.dashboard import Dashboard, Panel, Query, Variable

_APP = 'namespace="$namespace",app="$app"'


def _of_app(name: str, more: str = "", by: str = "") -> str:
    """A metric of the chosen app, whichever operator tells it."""
    grouped = f" by ({by})" if by else ""
    return f"max{grouped} (scalableapp_{name}{{{_APP}{more}}})"


def _usage(metric: str) -> str:
    return f'{metric}{{namespace="$namespace",pod=~"$app-[a-z0-9]+-[a-z0-9]+",container="app"}}'


def _latency(quantile: float) -> str:
    buckets = f"namespace_app_le:http_request_duration_seconds_bucket:rate1m{{{_APP}}}"
    return f"histogram_quantile({quantile}, sum by (le) ({buckets}))"


APP = Dashboard(
    "scalableapp-app",
    "ScalableApp / One app",
    (
        Variable("namespace", "label_values(scalableapp_current_replicas, namespace)"),
        Variable("app", 'label_values(scalableapp_current_replicas{namespace="$namespace"}, app)'),
    ),
    (
        Panel("Ready pods", "none", "Pods that are ready.", [Query(_of_app("ready_replicas"))], "stat", 4),
        Panel("Desired", "none", "Replicas decided on.", [Query(_of_app("desired_replicas"))], "stat", 4),
        Panel(
            "Max replicas",
            "none",
            "maxReplicas, or that of an active schedule.",
            [Query(_of_app("max_replicas"))],
            "stat",
            4,
        ),
        Panel(
            "Utilisation",
            "percentunit",
            "The highest utilisation of a metric; 100 % is on target.",
            [Query(f"max (namespace_app_metric:scalableapp_metric_of_target:ratio{{{_APP}}})")],
            "stat",
            4,
        ),
        Panel(
            "Requests",
            "reqps",
            "Requests answered by the app's pods.",
            [Query(f"namespace_app:http_requests:rate1m{{{_APP}}}")],
            "stat",
            4,
        ),
        Panel(
            "Since the last decision",
            "s",
            "Age of the last evaluation; it should stay below the app's interval.",
            [Query(f"time() - {_of_app('last_decision_timestamp_seconds')}")],
            "stat",
            4,
        ),
        Panel(
            "Replicas",
            "none",
            "Desired, current and ready replicas, and the current bounds.",
            [Query(_of_app(f"{name}_replicas"), name) for name in ("max", "min", "desired", "current", "ready")],
        ),
        Panel(
            "Metric utilisation (% of target)",
            "percentunit",
            "100 % is on target. Above it more replicas are needed, below it fewer.",
            [Query(f"namespace_app_metric:scalableapp_metric_of_target:ratio{{{_APP}}}", "{{metric}}")],
        ),
        Panel(
            "Load",
            "reqps",
            "Requests answered, and those that failed (5xx).",
            [
                Query(f"namespace_app:http_requests:rate1m{{{_APP}}}", "all"),
                Query(f"namespace_app:http_requests_failed:rate1m{{{_APP}}}", "failed"),
            ],
        ),
        Panel(
            "Latency",
            "s",
            "Quantiles of http_request_duration_seconds over the last minute, of all pods.",
            [Query(_latency(quantile), f"p{100 * quantile:g}") for quantile in (0.5, 0.95, 0.99)],
        ),
        Panel(
            "Metric values and targets",
            "short",
            "In the unit of the target: requests/s, cores, bytes, seconds.",
            [
                Query(_of_app("metric_value", by="metric"), "{{metric}}"),
                Query(_of_app("metric_target", by="metric"), "{{metric}}, target"),
            ],
        ),
        Panel(
            "What limits scaling, and problems",
            "none",
            "Abnormal conditions of the app, with their reasons.",
            [Query(_of_app("condition", by="type, status, reason"), "{{type}} {{status}}: {{reason}}")],
            stacked=True,
        ),
        Panel(
            "Replica changes in 5 minutes",
            "none",
            "How often the desired replicas changed; stabilisation and tolerance should keep this low.",
            [Query(f"sum (changes(scalableapp_desired_replicas{{{_APP}}}[5m]))", "changes")],
        ),
        Panel(
            "Bad minutes of the objective",
            "percentunit",
            "Share of the time in which more requests were slow than the objective allows, and its budget.",
            [
                Query(f"namespace_app:scalableapp_objective_bad:ratio1h{{{_APP}}}", "last hour"),
                Query(f"namespace_app:scalableapp_objective_bad:ratio6h{{{_APP}}}", "last 6 hours"),
                Query(_of_app("objective_budget_ratio"), "budget"),
            ],
        ),
        Panel(
            "CPU per pod",
            "short",
            "Cores: used by the average and the busiest pod; requested and recommended in modes Vertical and Combined.",
            [
                Query(f"avg (rate({_usage('container_cpu_usage_seconds_total')}[1m]))", "used, average"),
                Query(f"max (rate({_usage('container_cpu_usage_seconds_total')}[1m]))", "used, busiest"),
                Query(_of_app("pod_cpu_request_cores", by="size"), "request, {{size}}"),
            ],
        ),
        Panel(
            "Memory per pod",
            "bytes",
            "Working set of the average and largest pod; requested and recommended in modes Vertical and Combined.",
            [
                Query(f"avg ({_usage('container_memory_working_set_bytes')})", "used, average"),
                Query(f"max ({_usage('container_memory_working_set_bytes')})", "used, largest"),
                Query(_of_app("pod_memory_request_bytes", by="size"), "request, {{size}}"),
            ],
        ),
    ),
)

OVERVIEW = Dashboard(
    "scalableapp-overview",
    "ScalableApp / All apps",
    (Variable("namespace", "label_values(scalableapp_current_replicas, namespace)", several=True),),
    (
        Panel("Apps", "none", "ScalableApps.", [Query("sum (scalableapp_apps)")], "stat", 4),
        Panel(
            "Not ready",
            "none",
            "Apps whose Ready condition is not True.",
            [Query('sum (scalableapp_apps{ready!="True"})')],
            "stat",
            4,
        ),
        Panel(
            "Pods",
            "none",
            "Ready pods of all apps.",
            [Query('sum (max by (namespace, app) (scalableapp_ready_replicas{namespace=~"$namespace"}))')],
            "stat",
            4,
        ),
        Panel(
            "Requests",
            "reqps",
            "Requests answered by all apps.",
            [Query('sum (namespace_app:http_requests:rate1m{namespace=~"$namespace"})')],
            "stat",
            4,
        ),
        Panel(
            "At maxReplicas",
            "none",
            "Apps that need more than their maximum number of replicas.",
            [
                Query(
                    'count (scalableapp_condition{type="ScalingLimited",reason="TooManyReplicas",'
                    'namespace=~"$namespace"}) or vector(0)'
                )
            ],
            "stat",
            4,
        ),
        Panel(
            "Alerts",
            "none",
            "Firing ScalableApp alerts.",
            [Query('count (ALERTS{alertname=~"ScalableApp.+",alertstate="firing"}) or vector(0)')],
            "stat",
            4,
        ),
        Panel(
            "Ready pods by app",
            "none",
            "The twenty largest apps.",
            [
                Query(
                    'topk(20, max by (namespace, app) (scalableapp_ready_replicas{namespace=~"$namespace"}))',
                    "{{namespace}}/{{app}}",
                )
            ],
            stacked=True,
        ),
        Panel(
            "Highest utilisation",
            "percentunit",
            "The ten apps with the highest utilisation of a metric.",
            [
                Query(
                    "topk(10, max by (namespace, app) "
                    '(namespace_app_metric:scalableapp_metric_of_target:ratio{namespace=~"$namespace"}))',
                    "{{namespace}}/{{app}}",
                )
            ],
        ),
        Panel(
            "Apps by problem",
            "none",
            "Apps with an abnormal condition.",
            [Query('count by (type, reason) (scalableapp_condition{namespace=~"$namespace"})', "{{type}}: {{reason}}")],
        ),
        Panel(
            "Decisions",
            "ops",
            "Evaluations per second, by the decision's reason.",
            [Query("sum by (reason) (rate(scalableapp_decisions_total[2m])) > 0", "{{reason}}")],
            stacked=True,
        ),
        Panel(
            "Problems",
            "none",
            "Each abnormal condition with its app; kubectl scalableapp explain NAMESPACE/APP shows the message.",
            [
                Query(
                    "max by (namespace, app, type, status, reason) "
                    '(scalableapp_condition{namespace=~"$namespace",type!="ScalingLimited"})'
                )
            ],
            "table",
            24,
        ),
    ),
)

OPERATOR = Dashboard(
    "scalableapp-operator",
    "ScalableApp / Operator",
    (),
    (
        Panel(
            "Leader",
            "none",
            "Operators that hold the Lease; must be 1.",
            [Query("sum (scalableapp_lease_held)")],
            "stat",
            4,
        ),
        Panel(
            "Version",
            "none",
            "Operators by version.",
            [Query("count by (version) (scalableapp_build_info)", "{{version}}")],
            "stat",
            4,
        ),
        Panel("Apps", "none", "ScalableApps.", [Query("sum (scalableapp_apps)")], "stat", 4),
        Panel(
            "Since the last tick",
            "s",
            "Age of the last successful evaluation of all apps; should stay below two intervals.",
            [Query("min (time() - scalableapp_last_tick_timestamp_seconds)")],
            "stat",
            4,
        ),
        Panel(
            "Memory",
            "bytes",
            "Memory of the operator's process.",
            [Query("max (process_resident_memory_bytes and on (job, instance) scalableapp_build_info)")],
            "stat",
            4,
        ),
        Panel(
            "CPU",
            "percentunit",
            "CPU of the operator's process; 100 % is one core.",
            [Query("max (rate(process_cpu_seconds_total[2m]) and on (job, instance) scalableapp_build_info)")],
            "stat",
            4,
        ),
        Panel(
            "Loop duration",
            "s",
            "Duration of an evaluation of all apps, including queries to Prometheus, and the interval.",
            [
                Query("max (instance:scalableapp_tick_duration_seconds:mean5m)", "mean"),
                Query(
                    "histogram_quantile(0.99, sum by (le) (rate(scalableapp_tick_duration_seconds_bucket[5m])))", "p99"
                ),
                Query("max (scalableapp_tick_interval_seconds)", "interval"),
            ],
        ),
        Panel(
            "Event loop lag",
            "s",
            "Delay of the event loop; a high value means a lack of CPU.",
            [Query("max (scalableapp_event_loop_lag_seconds)", "maximum per tick")],
        ),
        Panel(
            "Queries to Prometheus, p90",
            "s",
            "By metric type; queries time out after 4 s.",
            [
                Query(
                    "histogram_quantile(0.9, sum by (type, le) "
                    "(rate(scalableapp_prometheus_query_duration_seconds_bucket[5m])))",
                    "{{type}}",
                )
            ],
        ),
        Panel(
            "Data problems",
            "ops",
            "Unusable answers of Prometheus per second, by problem.",
            [Query("sum by (problem) (rate(scalableapp_data_problems_total[5m])) > 0", "{{problem}}")],
        ),
        Panel(
            "Requests to the Kubernetes API",
            "reqps",
            "By verb and HTTP status; 0 means no answer.",
            [
                Query(
                    "sum by (verb, code) (rate(scalableapp_api_request_duration_seconds_count[2m]))",
                    "{{verb}} {{code}}",
                )
            ],
            stacked=True,
        ),
        Panel(
            "Kubernetes API latency, p99",
            "s",
            "By verb.",
            [
                Query(
                    "histogram_quantile(0.99, sum by (verb, le) "
                    "(rate(scalableapp_api_request_duration_seconds_bucket[5m])))",
                    "{{verb}}",
                )
            ],
        ),
        Panel(
            "Work queue",
            "none",
            "Apps waiting to be reconciled, including back-offs and planned reconciliations.",
            [Query("max (scalableapp_work_queue_depth)", "apps")],
        ),
        Panel(
            "Failures",
            "ops",
            "Failed operations that will be retried, by kind. InternalError is a bug in the operator.",
            [Query("sum by (kind) (rate(scalableapp_failures_total[5m]))", "{{kind}}")],
        ),
    ),
)

DASHBOARDS = (OVERVIEW, APP, OPERATOR)
