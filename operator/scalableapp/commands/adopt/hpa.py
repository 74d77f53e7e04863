"""What a HorizontalPodAutoscaler (autoscaling/v2) becomes."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from scalableapp.commands.adopt.draft import Draft, Fields, problem_of
from scalableapp.commands.adopt.queries import CannotBind, in_namespace
from scalableapp.commands.adopt.workload import METRIC_OF, Workload
from scalableapp.core.api.scaling import Behavior
from scalableapp.core.model import AppKey

Manifest = Mapping[str, Any]
# What the API server takes for an HPA that states no metric.
_DEFAULT_METRICS = (
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}},
)
_PER_SECOND = "_per_second"
_METRIC_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")


def from_hpa(hpa: Manifest, workload: Workload) -> Draft:
    """The draft of a ScalableApp, with all that an HPA states and a ScalableApp has."""
    spec = hpa["spec"]
    draft = Draft(source=f"hpa/{hpa['metadata']['name']}")
    least = spec.get("minReplicas", 1)
    if least == 0:
        draft.leave("spec.minReplicas", 0, "no converted metric can wake the app at 0 replicas, so it keeps 1")
    draft.horizontal = {"minReplicas": max(1, least), "maxReplicas": spec["maxReplicas"]}
    for index, metric in enumerate(spec.get("metrics") or _DEFAULT_METRICS):
        _add_metric(draft, f"spec.metrics[{index}]", metric, workload)
    add_behavior(draft, "spec.behavior", spec.get("behavior"))
    return draft


def _add_metric(draft: Draft, path: str, metric: Manifest, workload: Workload) -> None:
    kind = metric["type"]
    if kind in ("Resource", "ContainerResource"):
        add_resource(draft, path, metric[kind[0].lower() + kind[1:]])
    elif kind == "Pods":
        _add_pods(draft, path, metric["pods"], workload)
    else:
        name = ((metric.get(kind.lower()) or {}).get("metric") or {}).get("name")
        draft.leave(
            path,
            f"{kind} {name}",
            "the query behind it is known only to the metrics adapter; write that query as a metric of "
            'type Prometheus, with namespace="$namespace" in each selector',
        )


def add_resource(draft: Draft, path: str, source: Manifest) -> None:
    """Take CPU or memory over: as a percentage of the request, or as an amount."""
    resource, target, container = source["name"], source["target"], source.get("container")
    kind = METRIC_OF.get(resource)
    percent = target.get("averageUtilization")
    amount = f"{percent}%" if percent is not None else target.get("averageValue")
    if kind is None or amount is None:
        draft.leave(path, {"name": resource, **target}, "only cpu and memory per pod have a counterpart")
        return
    metric: Fields = {"type": kind, "target": amount}
    if container:
        metric["container"] = container
    draft.add_metric(path, {"name": resource, **target}, metric)


def _add_pods(draft: Draft, path: str, source: Manifest, workload: Workload) -> None:
    """A metric per pod. Its name is the adapter's; what is written here is what usually stands behind such a name."""
    metric, amount = source["metric"], source["target"].get("averageValue")
    name, selector = metric["name"], metric.get("selector") or {}
    value = f"Pods {name}"
    if (
        workload.pod_names is None
        or not _METRIC_NAME.fullmatch(name)
        or selector.get("matchExpressions")
        or amount is None
    ):
        draft.leave(path, value, "write its query as a metric of type Prometheus")
        return
    if name == "http_requests_per_second" and not selector:
        draft.add_metric(path, value, {"type": "RequestsPerSecond", "target": amount})
        draft.notes.append(
            f"{path} {name} was converted to RequestsPerSecond, the rate of http_requests_total of its pods"
        )
        return
    labels = {"namespace": "$namespace", **(selector.get("matchLabels") or {})}
    matchers = [*(f'{label}="{wanted}"' for label, wanted in labels.items()), f'pod=~"{workload.pod_names}"']
    series = f"{name.removesuffix(_PER_SECOND)}_total" if name.endswith(_PER_SECOND) else name
    select = f"{series}{{{','.join(matchers)}}}"
    query = f"sum(rate({select}[2m]))" if series != name else f"sum({select})"
    try:
        in_namespace(query, AppKey(workload.namespace, workload.name))
    except CannotBind as error:
        draft.leave(path, value, str(error))
        return
    draft.add_metric(path, value, {"type": "Prometheus", "name": name[:63], "target": amount, "query": query})
    draft.notes.append(
        f"{path} {name} is a name that a metrics adapter gave to a query. The query here, {query}, is a guess from the "
        "name: check that it has the value that kubectl describe hpa shows"
    )


def add_behavior(draft: Draft, path: str, behavior: Manifest | None) -> None:
    """Take rates, windows, selectPolicy and tolerance over; what is the default anyway is left unsaid."""
    if not behavior:
        return
    try:
        taken = Behavior.model_validate({name: rules for name, rules in behavior.items() if rules})
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in (path, *problem["loc"]))
        draft.leave(place, problem["input"], problem_of(error))
        return
    fields = taken.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if fields:
        draft.horizontal["behavior"] = fields
