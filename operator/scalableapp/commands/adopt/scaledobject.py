"""What a ScaledObject of KEDA (keda.sh/v1alpha1) becomes."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from scalableapp.commands.adopt.draft import Draft, Fields, problem_of
from scalableapp.commands.adopt.hpa import add_behavior, add_resource
from scalableapp.commands.adopt.queries import CannotBind, in_namespace
from scalableapp.commands.adopt.workload import Workload
from scalableapp.core.api.schedules import Schedule
from scalableapp.core.model import AppKey

Manifest = Mapping[str, Any]
# KEDA's own defaults.
_MOST, _COOLDOWN_SECONDS, _POLLING_SECONDS = 100, 300, 30
_LONGEST_FALLBACK_SECONDS = 86_400
_PAUSED = "autoscaling.keda.sh/"


class _Place(NamedTuple):
    """A trigger: its path in the ScaledObject, and what it is about."""

    path: str
    trigger: Manifest
    spec: Manifest
    workload: Workload

    @property
    def settings(self) -> Mapping[str, str]:
        """Its metadata, as KEDA calls them."""
        return self.trigger.get("metadata") or {}


def from_scaled_object(scaled: Manifest, workload: Workload) -> Draft:
    """The draft of a ScalableApp, with all that a ScaledObject states and a ScalableApp has."""
    spec, metadata = scaled["spec"], scaled["metadata"]
    draft = Draft(source=f"scaledobject/{metadata['name']}")
    advanced = spec.get("advanced") or {}
    formula = (advanced.get("scalingModifiers") or {}).get("formula")
    for index, trigger in enumerate(spec["triggers"]):
        place = _Place(f"spec.triggers[{index}]", trigger, spec, workload)
        if formula and trigger["type"] not in ("cpu", "memory", "cron"):
            draft.leave(place.path, trigger["type"], "it is part of the formula in scalingModifiers")
        else:
            _TRIGGERS.get(trigger["type"], _add_unknown)(draft, place)
    if formula:
        draft.leave(
            "spec.advanced.scalingModifiers",
            formula,
            "write the formula as one PromQL query, if Prometheus has its parts",
        )
    _set_bounds(draft, spec)
    add_behavior(
        draft,
        "spec.advanced.horizontalPodAutoscalerConfig.behavior",
        (advanced.get("horizontalPodAutoscalerConfig") or {}).get("behavior"),
    )
    _set_fallback(draft, spec)
    _set_pauses(draft, metadata.get("annotations") or {})
    _name_the_rest(draft, spec, advanced)
    return draft


def _set_bounds(draft: Draft, spec: Manifest) -> None:
    least, most = spec.get("minReplicaCount", 0), spec.get("maxReplicaCount", _MOST)
    if spec.get("idleReplicaCount") is not None:
        draft.leave(
            "spec.idleReplicaCount",
            spec["idleReplicaCount"],
            f"there is no replica count for idle times; minReplicas stays {least}",
        )
    others = [trigger["type"] for trigger in spec["triggers"] if trigger["type"] not in ("cpu", "memory", "cron")]
    queries = [metric for metric in draft.metrics if metric["type"] == "Prometheus"]
    if least == 0 and (not queries or len(queries) < len(others)):
        draft.leave(
            "spec.minReplicaCount", 0, "not every trigger that can wake it could be converted, so it keeps 1 replica"
        )
        least = 1
    if least > 0:
        for metric in queries:
            metric.pop("activationTarget")
    for schedule in draft.schedules:
        schedule["minReplicas"] = min(schedule["minReplicas"], most)
        if schedule["minReplicas"] <= least:
            draft.notes.append(f"{schedule['name']} asks for no more than minReplicas {least}, so it was left out")
    draft.schedules = [schedule for schedule in draft.schedules if schedule["minReplicas"] > least]
    draft.horizontal = {"minReplicas": least, "maxReplicas": most}


def _add_prometheus(draft: Draft, place: _Place) -> None:
    settings, key = place.settings, AppKey(place.workload.namespace, place.workload.name)
    stated = settings.get("query", "")
    try:
        query, added = in_namespace(stated, key)
    except CannotBind as error:
        draft.leave(f"{place.path}.metadata.query", stated, str(error))
        return
    metric: Fields = {"type": "Prometheus", "target": settings.get("threshold", ""), "query": query}
    if name := place.trigger.get("name"):
        metric["name"] = name[:63]
    if place.trigger.get("metricType") == "Value":
        metric["targetType"] = "Value"
    metric["activationTarget"] = settings.get("activationThreshold", "0")
    before = len(draft.metrics)
    draft.add_metric(place.path, stated, metric)
    if len(draft.metrics) == before:
        return
    if added:
        draft.notes.append(
            f'{place.path}: namespace="$namespace" was added to its query. This is correct for series of pods in '
            "this namespace, but finds nothing if a proxy or broker in another namespace exports them: check its value"
        )
    _note_connection(draft, place)


def _note_connection(draft: Draft, place: _Place) -> None:
    """What belongs to the connection: it is the operator's own, one for all apps. Values may be secrets."""
    settings = place.settings
    own = [name for name in ("serverAddress", "namespace", "customHeaders", "queryParameters") if settings.get(name)]
    if place.trigger.get("authenticationRef"):
        own.append("authenticationRef")
    if own:
        draft.notes.append(
            f"{place.path}: not converted: {', '.join(own)}. The operator queries the Prometheus that it was "
            "installed with, which must have these series"
        )
    if settings.get("ignoreNullValues", "true").lower() != "false":
        draft.notes.append(
            f"{place.path}: KEDA treats an empty result as 0 (ignoreNullValues); here it is missing data, and no pod "
            "is removed. If empty means 0, write (QUERY) or vector(0)"
        )


def _add_cron(draft: Draft, place: _Place) -> None:
    settings = place.settings
    schedule: Fields = {
        "name": (place.trigger.get("name") or f"cron-{len(draft.schedules) + 1}")[:63],
        "start": settings.get("start", ""),
        "end": settings.get("end", ""),
        "timezone": settings.get("timezone", "UTC"),
    }
    try:
        schedule["minReplicas"] = int(settings.get("desiredReplicas", ""))
        Schedule.model_validate(schedule)
    except ValueError as error:
        draft.leave(place.path, settings, problem_of(error))
    else:
        draft.schedules.append(schedule)


def _add_cpu_or_memory(draft: Draft, place: _Place) -> None:
    settings, form = place.settings, place.trigger.get("metricType") or place.settings.get("type")
    value = settings.get("value", "")
    target: Fields = {"averageValue": value}
    if form != "AverageValue":
        if not value.isdecimal():
            draft.leave(place.path, value, "it is not a percentage of the request")
            return
        target = {"averageUtilization": int(value)}
    source = {"name": place.trigger["type"], "container": settings.get("containerName"), "target": target}
    add_resource(draft, place.path, source)


def _add_unknown(draft: Draft, place: _Place) -> None:
    """Values are not shown: connection strings with passwords are among them."""
    draft.leave(
        place.path,
        place.trigger["type"],
        "only prometheus, cron, cpu and memory have a counterpart; if Prometheus has this number, write it as a metric "
        "of type Prometheus",
    )


_TRIGGERS: Mapping[str, Callable[[Draft, _Place], None]] = {
    "prometheus": _add_prometheus,
    "cron": _add_cron,
    "cpu": _add_cpu_or_memory,
    "memory": _add_cpu_or_memory,
}


def _set_fallback(draft: Draft, spec: Manifest) -> None:
    """KEDA falls back for each trigger; here it applies once no metric can be used."""
    fallback = spec.get("fallback")
    if not fallback:
        return
    seconds = fallback["failureThreshold"] * spec.get("pollingInterval", _POLLING_SECONDS)
    taken: Fields = {"afterSeconds": min(seconds, _LONGEST_FALLBACK_SECONDS)}
    behavior = fallback.get("behavior") or "static"
    if behavior == "static":
        taken |= {"behavior": "Static", "replicas": fallback["replicas"]}
    elif behavior == "currentReplicasIfHigher":
        taken |= {"behavior": "CurrentIfHigher", "replicas": fallback["replicas"]}
    elif behavior != "currentReplicas":
        draft.leave("spec.fallback.behavior", behavior, "replicas are held instead while no metric can be used")
    draft.horizontal["fallback"] = taken
    if len(spec["triggers"]) > 1:
        draft.notes.append(
            "spec.fallback: KEDA falls back as soon as one trigger fails; here the other metrics still decide, no pod "
            "is removed, and the fallback applies once no metric can be used"
        )


def _set_pauses(draft: Draft, annotations: Mapping[str, str]) -> None:
    """A pause goes on: nothing of a paused workload moves because it was adopted."""
    replicas = annotations.get(f"{_PAUSED}paused-replicas", "").strip()
    if replicas.isdecimal():
        draft.pinned = int(replicas)
    if annotations.get(f"{_PAUSED}paused", "").lower() == "true":
        draft.scaling["paused"] = True
    for name in ("paused-scale-in", "paused-scale-out"):
        if annotations.get(f"{_PAUSED}{name}", "").lower() == "true":
            rules = draft.horizontal.setdefault("behavior", {})
            rules.setdefault("scaleDown" if name.endswith("in") else "scaleUp", {})["selectPolicy"] = "Disabled"
    if f"{_PAUSED}force-activation" in annotations:
        draft.leave(f"metadata.annotations[{_PAUSED}force-activation]", "true", "minReplicas 1 keeps it active")


def _name_the_rest(draft: Draft, spec: Manifest, advanced: Manifest) -> None:
    at_zero = draft.horizontal["minReplicas"] == 0
    cooldown = spec.get("cooldownPeriod", _COOLDOWN_SECONDS)
    if at_zero and cooldown != _COOLDOWN_SECONDS:
        draft.leave(
            "spec.cooldownPeriod",
            cooldown,
            "scaling to 0 waits as each scale-down does: behavior.scaleDown.stabilizationWindowSeconds, 300 by default",
        )
    if spec.get("initialCooldownPeriod"):
        draft.leave(
            "spec.initialCooldownPeriod", spec["initialCooldownPeriod"], "there is no waiting time after creation"
        )
    if spec.get("pollingInterval") is not None:
        draft.notes.append(
            f"spec.pollingInterval {spec['pollingInterval']} was not converted: metrics are read for each "
            "decision; scaling.intervalSeconds sets how often"
        )
    if advanced.get("restoreToOriginalReplicaCount"):
        draft.leave(
            "spec.advanced.restoreToOriginalReplicaCount",
            "true",
            "deleting a ScalableApp leaves the replica count as it is",
        )
