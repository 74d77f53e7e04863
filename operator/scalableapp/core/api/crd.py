"""The CustomResourceDefinitions, made from the models in spec.py and request_source.py, rules and the status schema.

`python tools/generate_crd.py` writes them to crds/.
"""

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from scalableapp.core.api.crd_rules import SOURCE_RULES, add_rules
from scalableapp.core.api.fields import LONGEST_QUANTITY
from scalableapp.core.api.request_source import RequestSource
from scalableapp.core.api.spec import OF_SCRAPING, WITHOUT_DEFAULTS, ScalableAppSpec

Schema = dict[str, Any]

GROUP, VERSION, KIND, PLURAL = "scalableapp.io", "v1alpha1", "ScalableApp", "scalableapps"

# A quantity is text, but YAML reads an unquoted 50 as an integer and 0.5 as a float. Kubernetes' own
# int-or-string would refuse the float with an unhelpful message. A node without a type accepts all three;
# the pattern then applies to text and the bounds to numbers; lists and objects may not hold anything.
_UNTYPED: Schema = {
    "x-kubernetes-preserve-unknown-fields": True,
    "minimum": 0,
    "maxLength": LONGEST_QUANTITY,
    "maxItems": 0,
    "maxProperties": 0,
}
_NUMBER = r"(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3}|[numkMGTPE]|[KMGTPE]i)?$"
_FORMATS: dict[str, Schema] = {
    "quantity": _UNTYPED | {"pattern": rf"^[+-]?{_NUMBER}"},
    "target": _UNTYPED | {"pattern": rf"^\+?({_NUMBER[:-1]}|\d+(\.\d+)?(m?s|%))$", "exclusiveMinimum": True},
    "positive-quantity": _UNTYPED | {"pattern": rf"^\+?{_NUMBER}", "exclusiveMinimum": True},
}
_COPIED = (
    *("description", "type", "enum", "default", "pattern", "minLength", "maxLength", "minimum", "maximum"),
    *("minItems", "maxItems", "maxProperties", "required", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
)


def crd() -> Schema:
    """The whole CustomResourceDefinition as a manifest."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": "scalableapp",
                "shortNames": ["sapp"],
            },
            "versions": [_version()],
        },
    }


def source_crd() -> Schema:
    """The CustomResourceDefinition of RequestSource as a manifest."""
    schema = RequestSource.model_json_schema(by_alias=True, schema_generator=_WithFactories)
    spec = _structural(schema, schema["$defs"]) | {"x-kubernetes-validations": SOURCE_RULES}
    names = {
        "kind": "RequestSource",
        "listKind": "RequestSourceList",
        "plural": "requestsources",
        "singular": "requestsource",
    }
    root = _object(
        "Which series of Prometheus count the requests of apps that name this source in spec.monitoring.requests.",
        {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}, "spec": spec},
        required=["spec"],
    )
    columns = [
        _column("Requests", ".spec.requests"),
        _column("Duration", ".spec.duration.metric"),
        _column("Per", ".spec.per"),
        _column("Age", ".metadata.creationTimestamp", "date"),
    ]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": root},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"requestsources.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Cluster", "names": names, "versions": [version]},
    }


def _version() -> Schema:
    scale = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}, "scale": scale},
        "additionalPrinterColumns": _COLUMNS,
        "schema": {"openAPIV3Schema": add_rules(_root())},
    }


def _root() -> Schema:
    name = _string("Name of the app, its Deployment, Service and Ingress: a DNS label that starts with a letter.")
    return _object(
        "A web app that is deployed, exposed and scaled from its metrics.",
        {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {"name": name | {"maxLength": 63, "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"}},
            },
            "spec": spec_schema(),
            "status": status_schema(),
        },
        required=["spec"],
    )


def spec_schema() -> Schema:
    """Structural schema of spec with all defaults, descriptions and bounds of the models."""
    schema = ScalableAppSpec.model_json_schema(by_alias=True, schema_generator=_WithFactories)
    structural = _structural(schema, schema["$defs"])
    for name in WITHOUT_DEFAULTS:
        structural["properties"][name].pop("default", None)
    for name in OF_SCRAPING:
        structural["properties"]["monitoring"]["properties"][name].pop("default", None)
    return structural


class _WithFactories(GenerateJsonSchema):
    """Pydantic leaves out defaults that a factory makes; a CRD wants all of them."""

    def get_default_value(self, schema: core_schema.WithDefaultSchema) -> Any:
        factory = schema.get("default_factory")
        if factory is not None and not schema.get("default_factory_takes_data"):
            default = factory()  # type: ignore[call-arg]  # the one that takes no data, as just checked
            return (
                default.model_dump(mode="json", by_alias=True, exclude_none=True)
                if isinstance(default, BaseModel)
                else default
            )
        return super().get_default_value(schema)


def _structural(node: Schema, definitions: Schema) -> Schema:
    """A JSON schema of pydantic's as the structural schema of a CRD: no $ref, no null, no type union."""
    if "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]] | {k: v for k, v in node.items() if k != "$ref"}
    if "anyOf" in node:
        present = next(option for option in node["anyOf"] if option.get("type") != "null")
        return _structural(present | {k: v for k, v in node.items() if k not in ("anyOf", "default")}, definitions)
    schema = {field: node[field] for field in _COPIED if field in node} | _FORMATS.get(node.get("format", ""), {})
    if "x-kubernetes-preserve-unknown-fields" in schema:
        del schema["type"]
    if isinstance(node.get("default"), str | int):
        # `kubectl explain` shows no defaults.
        schema["description"] += " Default: " + json.dumps(node["default"]).strip('"') + "."
    return schema | _inside(node, definitions)


def _inside(node: Schema, definitions: Schema) -> Schema:
    if "properties" in node:
        # Written out in full: the rules judge a default before the defaults of the fields within it are applied.
        return {"properties": {k: _structural(v, definitions) for k, v in node["properties"].items()}}
    if "items" in node:
        return {"items": _structural(node["items"], definitions)}
    values = node.get("additionalProperties")
    if values is True:
        return {"x-kubernetes-preserve-unknown-fields": True}
    return {"additionalProperties": _structural(values, definitions)} if values else {}


def status_schema() -> Schema:
    """Structural schema of status. Almost nothing is required, so that no write of it is ever refused."""
    when = {"format": "date-time"}
    metric = {
        "name": _string("Name of the metric."),
        "current": _string("Measured value, in the target's unit; empty if there is none."),
        "target": _string("Target value."),
        "proposedReplicas": _integer("Replicas that this metric alone would need; absent without a usable value.")
        | {"nullable": True},
        "measuredAt": _string("Time of the oldest of the pods' newest samples, if Prometheus reports it.") | when,
    }
    requests = {
        "source": _string("Name of the request source: one that comes with the operator, or a RequestSource."),
        "per": _string("Pod, or App for what an ingress or a mesh counts."),
        "scrapeSeconds": _integer("Seconds between two scrapes by Prometheus, as measured."),
    }
    step = {
        "rule": _string("Name of the rule."),
        "value": _integer("Replicas after it."),
        "message": _string("What it did and why."),
    }
    decision = {
        "time": _string("Time of the decision.") | when,
        "from": _integer("Replicas before."),
        "to": _integer("Replicas decided on."),
        "reason": _string("Reason given by the last rule that changed the number."),
        "message": _string("Explanation of the decision."),
        "steps": _list("The rules that led to the number, in order.", _object("A rule.", step)),
    }
    return _object(
        "What the operator sees and does, and why.",
        {
            "observedGeneration": _integer("Generation of the spec that this status describes.") | {"format": "int64"},
            "replicas": _integer("Number of pods."),
            "readyReplicas": _integer("Number of ready pods."),
            "desiredReplicas": _integer("Number of pods that the operator wants."),
            "selector": _string("Label selector of the pods."),
            "url": _string("URL of the app."),
            "requests": _object("What counts the app's requests, where they are decided on.", requests),
            "metrics": _list("Last measured values of the metrics.", _object("A metric.", metric)),
            "decision": _object("The last decision and the chain of rules that led to it.", decision),
            "lastScaleTime": _string("When the operator last changed the replicas.") | when,
            "resources": _sizes(when),
            "podTemplate": _list("Fields of the pods that spec.podTemplate states.", {"type": "string"}),
            **_memory(when),
            "conditions": _conditions(when),
        },
    )


def _sizes(when: Schema) -> Schema:
    amount = {"request": _string("Guaranteed amount per pod."), "limit": _string("Maximum amount per pod.")}

    def size(description: str) -> Schema:
        return _object(description, {name: _object("One resource.", amount) for name in ("cpu", "memory")})

    change = {
        "to": size("The new size."),
        "good": size("The size to roll back to if the pods have problems."),
        "way": _string("InPlace or Rollout."),
        "phase": _string(
            "First: one pod is changed and watched. Rest: the others follow. Template: the Deployment, for later pods. "
            "Rollback: the pods return to the last good size.",
        ),
        "openedAt": _string("When the change began.") | when,
        "since": _string("When the current phase began.") | when,
        "doneAt": _string("When the first pod had its new size.") | when,
        "why": _string("Why the size is changed, or rolled back."),
    }
    failed_resize = {
        "size": size("The size that was rolled back."),
        "before": size("The size before."),
        "time": _string("Time of the rollback.") | when,
        "why": _string("Why it was rolled back."),
        "times": _integer("Number of rollbacks in a row; each doubles the wait before the next attempt."),
    }
    return _object(
        "The size of the pods, in the modes Vertical and Combined.",
        {
            "current": size("The last size that worked well."),
            "recommended": size("The size that the usage needs, within all bounds."),
            "changedAt": _string("When the size was last changed.") | when,
            "change": _object("A change under way.", change),
            "failedResize": _object("The last change that was rolled back.", failed_resize),
            "otherFailedResize": _object("The last one before it that was of the other resource.", failed_resize),
            "memoryFloor": _object(
                "Memory request that OOM kills have shown to be needed; no smaller one is set until then.",
                {"request": _string("Amount per pod."), "until": _string("When it is forgotten.") | when},
            ),
        },
    )


def _memory(when: Schema) -> dict[str, Schema]:
    """State of the decisions, stored in status to survive a restart of the operator."""
    recommendation = {
        "time": _string("Time of the recommendation.") | when,
        "replicas": _integer("Replicas that the metrics needed, before stabilisation."),
    }
    scale_event = {
        "time": _string("Time of the change.") | when,
        "change": _integer("Replicas added, or removed if negative."),
    }
    outage = {
        "time": _string("Start of the outage.") | when,
        "replicas": _integer("Replicas at that time: the last count that usable metrics led to."),
    }
    surplus = {
        "podSeconds": _integer("Total idle seconds of surplus pods."),
        "replicas": _integer("The highest count needed meanwhile."),
    }
    trial = {
        "replicas": _integer("Pods before more were started."),
        "load": _number("Requests per second then."),
        "slowShare": _number("Share of requests that were slow or failed then."),
        "requests": _integer("Requests in the window that was judged."),
        "served": _number("Requests per second that did not fail."),
        "until": _string("When more pods are tried again, if they did not help.") | when,
        "waitSeconds": _integer("How long that takes; doubled each time."),
    }
    learned = {
        "capacity": _number("Requests per second that a pod is given to handle."),
        "carried": _number("Requests per second that a pod was lately seen to handle."),
        "tooMuch": _number("Requests per second that were lately too many for a pod."),
        "price": _number("Logarithm of what a bad minute is worth, relative to the budget."),
        "trial": _object("Whether more pods make requests faster, while that is tried.", trial),
    }
    return {
        "recommendations": _list(
            "Recommendations of the stabilisation windows, stored here to survive a restart of the operator.",
            _object("A recommendation.", recommendation),
        ),
        "scaleEvents": _list(
            "Changes that the scaling policies count, stored here to survive a restart of the operator.",
            _object("A change of replicas.", scale_event),
        ),
        "outage": _object("The period without usable metrics; absent while a metric can be used.", outage),
        "surplus": _object("State of an objective's scale-down, stored here to survive a restart.", surplus),
        "learned": _object("What an objective has learned, stored here to survive a restart.", learned),
    }


def _conditions(when: Schema) -> Schema:
    condition = {
        "type": _string(
            "Ready, Available, Exposed, MetricsAvailable, ScalingActive, ScalingLimited, Paused, Conflicted or Sized.",
        ),
        "status": _string("Whether the condition holds.") | {"enum": ["True", "False", "Unknown"]},
        "observedGeneration": _integer("Generation of the spec that it describes.") | {"format": "int64"},
        "lastTransitionTime": _string("When the status last changed.") | when,
        "reason": _string("Short reason in CamelCase."),
        "message": _string("What happened, to what, and what to do."),
    }
    return _list(
        "State of the app; Ready summarises it.", _object("A condition.", condition, required=["type", "status"])
    ) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}


def _string(description: str) -> Schema:
    return {"description": description, "type": "string"}


def _number(description: str) -> Schema:
    return {"type": "number", "description": description}


def _integer(description: str) -> Schema:
    return {"description": description, "type": "integer"}


def _list(description: str, item: Schema) -> Schema:
    return {"description": description, "type": "array", "items": item}


def _object(description: str, properties: Schema, required: list[str] | None = None) -> Schema:
    needed = {"required": required} if required else {}
    return {"description": description, "type": "object"} | needed | {"properties": properties}


def _column(name: str, path: str, kind: str = "string", priority: int = 0) -> Schema:
    """A column of `kubectl get`; those of priority 1 only with `-o wide`."""
    return {"name": name, "type": kind, "jsonPath": path, "priority": priority}


_COLUMNS = [
    _column("Mode", ".spec.scaling.mode"),
    _column("Replicas", ".status.replicas", "integer"),
    _column("Desired", ".status.desiredReplicas", "integer"),
    _column("Min", ".spec.scaling.horizontal.minReplicas", "integer"),
    _column("Max", ".spec.scaling.horizontal.maxReplicas", "integer"),
    # A column holds one path: the first metric's value and its target are two.
    _column("Metric", ".status.metrics[0].current"),
    _column("Target", ".status.metrics[0].target"),
    _column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
    _column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
    _column("CPU", ".status.resources.current.cpu.request", priority=1),
    _column("Memory", ".status.resources.current.memory.request", priority=1),
    _column("URL", ".status.url", priority=1),
    _column("Decision", ".status.decision.message", priority=1),
    _column("Age", ".metadata.creationTimestamp", "date"),
]
