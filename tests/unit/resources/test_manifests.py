"""The manifests as files: what kustomize would put together is checked on the real cluster."""

from pathlib import Path
from typing import Any

import cel
import pytest
import yaml

from cluster.images import IMAGES
from scalableapp import __version__
from scalableapp.core.crd import crd
from scalableapp.core.model import AppKey
from scalableapp.core.resources import cache_name_problem
from scalableapp.core.spec import parse_spec
from scalableapp.errors import SpecError
from scalableapp.settings import Settings

MANIFESTS = Path(__file__).resolve().parents[3] / "manifests"


def documents(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((MANIFESTS / path).read_text()))


def of_kind(path: str, kind: str) -> dict[str, Any]:
    return next(document for document in documents(path) if document["kind"] == kind)


def at(document: Any, pointer: str) -> Any:
    for part in pointer.strip("/").split("/"):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


VALIDATIONS = yaml.safe_load((MANIFESTS / "components/cel/validations.yaml").read_text())
RULES = {
    (patch["path"].split("/properties/")[-1].split("/")[0], rule["message"]): rule["rule"]
    for patch in VALIDATIONS
    for rule in patch["value"]
}


def breaks(place: str, value: dict[str, Any]) -> list[str]:
    """Messages of the CEL rules at `place` that `value` breaks."""
    rules = [(message, rule) for (where, message), rule in RULES.items() if where == place]
    assert rules
    return [message for message, rule in rules if not cel.evaluate(rule, {"self": value})]


@pytest.mark.parametrize("patch", VALIDATIONS, ids=lambda patch: patch["path"].split("/properties/")[-1])
def test_a_cel_rule_is_added_where_the_crd_has_a_node(patch: dict[str, Any]) -> None:
    parent, _, field = patch["path"].rpartition("/")
    assert field == "x-kubernetes-validations"
    assert at(crd(), parent)["type"] == "object"


def metric(**fields: Any) -> dict[str, Any]:
    return {"type": "CPU", "target": "1", "targetType": "AverageValue", "aggregate": "Average"} | fields


PLAIN = {"prediction": {"enabled": False}}
OBJECTIVE = {"latency": {"quantile": 0.95, "seconds": 0.25}}


def horizontal(*metrics: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"minReplicas": 1, "maxReplicas": 10, "metrics": list(metrics), "schedules": [], **PLAIN} | fields


WAKING = {"type": "Prometheus", "query": "x", "activationTarget": "0"}
NIGHT = {"name": "night", "start": "0 22 * * *", "end": "0 6 * * *"}


ROUTE = {"parentRefs": [{"name": "public"}], "hostnames": [], "path": "/"}
LIMIT = {"requestsPerSecond": 5, "divideByIngressPods": False}


def ingress(**fields: Any) -> dict[str, Any]:
    return {"enabled": True, "path": "/", "annotations": {}} | fields


GOOD = {
    "a route alone": ("spec", {"image": "a", "route": ROUTE}),
    "a route beside an Ingress that is off": (
        "spec",
        {"image": "a", "route": ROUTE, "ingress": ingress(enabled=False)},
    ),
    "two listeners of a Gateway": (
        "route",
        ROUTE | {"parentRefs": [{"name": "a", "sectionName": "x"}, {"name": "a", "sectionName": "y"}]},
    ),
    "a limit for nginx by default": ("ingress", ingress(rateLimit=LIMIT | {"burst": 3}, keepalive=8)),
    "a limit for HAProxy": ("ingress", ingress(className="haproxy-internal", rateLimit=LIMIT)),
    "a limit for a class of another name": (
        "ingress",
        ingress(className="edge", annotationProfile="NGINX", rateLimit=LIMIT),
    ),
    "an unknown class without wishes": ("ingress", ingress(className="contour")),
    "a redirect": ("ingress", ingress(tlsSecretName="cert", httpsRedirect=True)),
    "no redirect": ("ingress", ingress(httpsRedirect=False)),
    "both resources": ("vertical", {"resources": ["cpu", "memory"]}),
    "one resource": ("vertical", {"resources": ["memory"]}),
    "equal bounds": ("horizontal", horizontal(metric(), minReplicas=3, maxReplicas=3)),
    "two names of one type": ("horizontal", horizontal(metric(name="a"), metric(name="b"))),
    "two types without names": ("horizontal", horizontal(metric(), metric(type="RequestsPerSecond"))),
    "a query": ("metrics", metric(type="Prometheus", query="x", targetType="Value")),
    "a measured type": ("metrics", metric()),
    "0 with a waking metric": ("horizontal", horizontal(metric(**WAKING), minReplicas=0)),
    "a burst of requests": ("horizontal", horizontal(metric(type="RequestsPerSecond"), burst={})),
    "forecasts of an objective's requests": (
        "horizontal",
        horizontal(prediction={"enabled": True}, objective=OBJECTIVE),
    ),
    "a latency as a duration": ("metrics", metric(type="Latency", target="250ms", quantile=0.9)),
    "a latency in seconds": ("metrics", metric(type="Latency", target=0.25)),
    "hot pods": ("metrics", metric(aggregate="Percentile", percentile=90)),
    "hold": ("fallback", {"behavior": "Hold"}),
    "a static fallback": ("fallback", {"behavior": "Static", "replicas": 3}),
    "a schedule": ("schedules", NIGHT | {"maxReplicas": 3}),
    "a plain variable": ("env", {"name": "A", "value": "1"}),
    "a variable from elsewhere": ("env", {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}),
}
BAD = {
    "two ways in": ("spec", {"image": "a", "route": ROUTE, "ingress": ingress()}),
    "one Gateway twice": ("route", ROUTE | {"parentRefs": [{"name": "a"}, {"name": "a"}]}),
    "a limit that nobody is told": ("ingress", ingress(className="contour", rateLimit=LIMIT)),
    "a method without a profile": ("ingress", ingress(annotationProfile="None", loadBalancing="RoundRobin")),
    "connections for HAProxy": ("ingress", ingress(className="haproxy", keepalive=8)),
    "a burst for HAProxy": ("ingress", ingress(annotationProfile="HAProxy", rateLimit=LIMIT | {"burst": 3})),
    "a divided limit for HAProxy": (
        "ingress",
        ingress(className="haproxy", rateLimit=LIMIT | {"divideByIngressPods": True}),
    ),
    "a redirect to nothing": ("ingress", ingress(httpsRedirect=True)),
    "one resource twice": ("vertical", {"resources": ["cpu", "cpu"]}),
    "min over max": ("horizontal", horizontal(metric(), minReplicas=4, maxReplicas=3)),
    "one name twice": ("horizontal", horizontal(metric(name="a"), metric(type="RequestsPerSecond", name="a"))),
    "one type twice": ("horizontal", horizontal(metric(), metric())),
    "a name like a type": ("horizontal", horizontal(metric(), metric(type="RequestsPerSecond", name="CPU"))),
    "no query": ("metrics", metric(type="Prometheus")),
    "a query too many": ("metrics", metric(query="x")),
    "Value for a measured type": ("metrics", metric(targetType="Value")),
    "0 without a waking metric": ("horizontal", horizontal(metric(), minReplicas=0)),
    "a schedule to 0 without one": ("horizontal", horizontal(metric(), schedules=[NIGHT | {"minReplicas": 0}])),
    "a burst of nothing": ("horizontal", horizontal(metric(), burst={})),
    "forecasts of nothing": ("horizontal", horizontal(metric(), prediction={"enabled": True})),
    "a duration for cores": ("metrics", metric(target="250ms")),
    "a quantile of cores": ("metrics", metric(quantile=0.9)),
    "hot pods by latency": ("metrics", metric(type="Latency", aggregate="Percentile", percentile=90)),
    "a pod metric that wakes": ("metrics", metric(activationTarget="0")),
    "hot pods without a percentile": ("metrics", metric(aggregate="Percentile")),
    "a percentile of an average": ("metrics", metric(percentile=90)),
    "a static fallback to nothing": ("fallback", {"behavior": "Static"}),
    "hold with replicas": ("fallback", {"behavior": "Hold", "replicas": 3}),
    "a schedule without effect": ("schedules", NIGHT),
    "two sources": ("env", {"name": "A", "value": "1", "valueFrom": {}}),
}


def spec_with(place: str, value: dict[str, Any]) -> dict[str, Any]:
    if place == "spec":
        return value
    if place in ("ingress", "route"):
        return {"image": "a", place: value}
    if place == "env":
        return {"image": "a", "env": [value]}
    if place == "vertical":
        return {"image": "a", "scaling": {"mode": "Vertical", "vertical": value}}
    nested = {"horizontal": value, "fallback": {"fallback": value}, "schedules": {"schedules": [value]}}
    return {"image": "a", "scaling": {"horizontal": nested.get(place, {"metrics": [value]})}}


@pytest.mark.parametrize(("place", "value"), GOOD.values(), ids=GOOD.keys())
def test_what_is_right_passes_the_cluster_and_the_operator(place: str, value: dict[str, Any]) -> None:
    assert breaks(place, value) == []
    parse_spec(spec_with(place, value))


@pytest.mark.parametrize(("place", "value"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_refused_by_the_cluster_and_the_operator(place: str, value: dict[str, Any]) -> None:
    assert len(breaks(place, value)) == 1
    with pytest.raises(SpecError):
        parse_spec(spec_with(place, value))


@pytest.mark.parametrize(
    ("backend", "length", "message"),
    [("Redis", 57, []), ("Redis", 58, ["the name leaves no room for that of its Redis"]), ("Memory", 63, [])],
)
def test_an_app_with_a_redis_leaves_room_for_its_name(backend: str, length: int, message: list[str]) -> None:
    app: dict[str, Any] = {"metadata": {"name": "a" * length}, "spec": {"cache": {"backend": backend}}}
    assert [broken.partition(";")[0] for broken in breaks("", app)] == message
    problem = cache_name_problem(AppKey("shop", "a" * length), parse_spec({"image": "a"} | app["spec"]))
    assert bool(problem) == bool(message)


def test_every_rule_across_fields_says_the_mend() -> None:
    assert all(";" in message for _, message in RULES)


@pytest.mark.parametrize("path", sorted((MANIFESTS / "samples").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sample_is_a_good_spec(path: Path) -> None:
    for sample in documents(str(path)):
        if sample["kind"] == "ScalableApp":
            parse_spec(sample["spec"])


def test_the_sample_has_room_to_scale() -> None:
    (sample,) = documents("samples/sample-app.yaml")
    assert parse_spec(sample["spec"]).scaling.horizontal.max_replicas == 8


def test_the_operator_may_do_nothing_by_wildcard_and_read_no_secrets() -> None:
    paths = ("base/rbac.yaml", "base/cluster-role/cluster-role.yaml")
    granted = [rule for path in paths for document in documents(path) for rule in document.get("rules", [])]
    assert granted
    for rule in granted:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert "secrets" not in rule["resources"]


def pods() -> dict[str, dict[str, Any]]:
    paths = {"operator": "base/deployment.yaml", "prometheus": "components/prometheus/deployment.yaml"}
    return {name: of_kind(path, "Deployment")["spec"]["template"]["spec"] for name, path in paths.items()}


@pytest.mark.parametrize("name", pods().keys())
def test_our_own_pods_write_nowhere_but_in_their_volumes(name: str) -> None:
    for container in pods()[name]["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_deployment_sets_only_variables_that_the_operator_reads() -> None:
    known = {f"SCALABLEAPP_{name.upper()}" for name in Settings.model_fields}
    assert {variable["name"] for variable in pods()["operator"]["containers"][0]["env"]} <= known


def test_on_kind_redis_comes_from_an_image_that_is_loaded() -> None:
    (overlay,) = documents("overlays/kind/kustomization.yaml")
    (added,) = yaml.safe_load(overlay["patches"][0]["patch"])
    assert added["value"]["name"] == "SCALABLEAPP_REDIS_IMAGE"
    assert added["value"]["value"] in {image.reference for image in IMAGES}


def test_the_ports_are_those_of_the_settings() -> None:
    ports = {port["name"]: port["containerPort"] for port in pods()["operator"]["containers"][0]["ports"]}
    fields = Settings.model_fields
    assert ports == {"metrics": fields["metrics_port"].default, "health": fields["liveness_port"].default}


def test_the_image_has_the_version_of_the_package() -> None:
    (base,) = documents("base/kustomization.yaml")
    assert base["images"] == [{"name": "scalableapp-operator", "newTag": __version__}]
