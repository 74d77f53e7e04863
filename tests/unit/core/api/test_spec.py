"""What a ScalableApp's spec accepts, refuses and fills in."""

from typing import Any

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from scalableapp.errors import SpecError


def scaling(**horizontal: Any) -> dict[str, Any]:
    return {"image": "shop:1", "scaling": {"horizontal": horizontal}}


SCHEDULE = {"name": "work", "start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 3}


def schedule(**changes: Any) -> dict[str, Any]:
    return scaling(schedules=[SCHEDULE | changes])


def test_an_image_alone_is_a_whole_app() -> None:
    spec = parse_spec({"image": "shop:1"})

    assert (spec.port, spec.health.readiness_path, spec.entry_point) == (8000, "/readyz", None)
    assert (spec.scaling.horizontal.min_replicas, spec.scaling.horizontal.max_replicas) == (1, 10)


def test_without_metrics_cpu_is_kept_at_four_fifths_of_the_request_as_an_absolute_amount() -> None:
    spec = parse_spec({"image": "shop:1", "resources": {"requests": {"cpu": "500m"}, "limits": {}}})

    (metric,) = spec.metrics
    assert (metric.type, metric.target) == (MetricType.CPU, "400m")


@pytest.mark.parametrize("target", [50, 0.5, "50", "300m", "1.5"], ids=str)
def test_a_target_may_be_written_as_yaml_writes_it(target: object) -> None:
    spec = parse_spec(scaling(metrics=[{"type": "CPU", "target": target}]))

    assert spec.metrics[0].target == str(target)


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no image", {}, "spec.image", "add it"),
    ("unknown field", {"image": "a", "imagee": "b"}, "spec.imagee", "remove it or correct its name"),
    ("min over max", scaling(minReplicas=5, maxReplicas=3), "spec.scaling.horizontal", "raise maxReplicas"),
    ("port is text", {"image": "a", "port": "web"}, "spec.port", "'web'"),
    ("port too high", {"image": "a", "port": 70000}, "spec.port", "65535"),
    ("no such mode", {"image": "a", "scaling": {"mode": "Diagonal"}}, "spec.scaling.mode", "'Horizontal'"),
    ("target zero", scaling(metrics=[{"type": "CPU", "target": "0"}]), "metrics[0].target", "not greater than 0"),
    ("target no number", scaling(metrics=[{"type": "CPU", "target": "lots"}]), "metrics[0].target", "not a quantity"),
    ("query missing", scaling(metrics=[{"type": "Prometheus", "target": "1"}]), "metrics[0]", "add query"),
    ("query not wanted", scaling(metrics=[{"type": "CPU", "target": "1", "query": "x"}]), "metrics[0]", "remove query"),
    (
        "value of a pod metric",
        scaling(metrics=[{"type": "CPU", "target": "1", "targetType": "Value"}]),
        "metrics[0]",
        "remove targetType",
    ),
    (
        "the same metric twice",
        scaling(metrics=[{"type": "CPU", "target": "1"}, {"type": "CPU", "target": "2"}]),
        "spec.scaling.horizontal",
        "give each metric its own name",
    ),
    (
        "tolerance as percent",
        scaling(behavior={"scaleUp": {"tolerance": "10"}}),
        "spec.scaling.horizontal.behavior",
        "write 0.1 for 10 %",
    ),
    (
        "request over limit",
        {"image": "a", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
        "spec.resources",
        "raise the limit",
    ),
    (
        "nothing to scale on",
        {"image": "a", "resources": {"requests": {"memory": "1Gi"}, "limits": {}}},
        "spec",
        "add a metric",
    ),
    ("0 without a waking metric", scaling(minReplicas=0), "spec.scaling.horizontal", "add activationTarget"),
    (
        "activation of a pod metric",
        scaling(metrics=[{"type": "CPU", "target": "1", "activationTarget": "0"}]),
        "metrics[0]",
        "remove activationTarget",
    ),
    ("a schedule to 0 without a waking metric", schedule(minReplicas=0), "horizontal", "add activationTarget"),
    ("schedule without effect", schedule(minReplicas=None), "schedules[0]", "add minReplicas or maxReplicas"),
    ("schedule with a wrong cron", schedule(start="0 25 * * *"), "schedules[0]", "has an invalid hour; correct it"),
    ("schedule in no time zone", schedule(timezone="Paris"), "schedules[0]", "write a name such as Europe/Paris"),
    ("schedule that ends as it starts", schedule(end="0 8 * * *"), "schedules[0]", "choose another end"),
    ("schedule over maxReplicas", schedule(minReplicas=11), "horizontal", "work makes minReplicas 11 larger"),
    (
        "the same schedule twice",
        scaling(schedules=[SCHEDULE, SCHEDULE]),
        "spec.scaling.horizontal",
        "give each schedule its own name",
    ),
    ("burst without requests", scaling(burst={}), "spec.scaling.horizontal", "add a metric of type RequestsPerSecond"),
    ("burst under the target", scaling(burst={"threshold": "0.9"}), "horizontal.burst", "write 1.5"),
    ("fallback without replicas", scaling(fallback={"behavior": "Static"}), "horizontal.fallback", "add replicas"),
    ("hold with replicas", scaling(fallback={"replicas": 3}), "horizontal.fallback", "remove replicas or use behavior"),
    (
        "percentile without aggregate",
        scaling(metrics=[{"type": "CPU", "target": "1", "percentile": 90}]),
        "metrics[0]",
        "add aggregate: Percentile",
    ),
    (
        "aggregate without percentile",
        scaling(metrics=[{"type": "CPU", "target": "1", "aggregate": "Percentile"}]),
        "metrics[0]",
        "add percentile: 90",
    ),
    (
        "percentile of a query",
        scaling(metrics=[{"type": "Prometheus", "query": "q", "target": "1", "aggregate": "Percentile"}]),
        "metrics[0]",
        "use quantile() in the query",
    ),
    (
        "weight without combine",
        scaling(metrics=[{"type": "CPU", "target": "1", "weight": "2"}]),
        "spec.scaling.horizontal",
        "use combine: Weighted",
    ),
    ("interval 0", {"image": "a", "scaling": {"intervalSeconds": 0}}, "spec.scaling.intervalSeconds", "it is 0"),
    ("path without slash", {"image": "a", "health": {"livenessPath": "alive"}}, "spec.health.livenessPath", "'alive'"),
    (
        "two ways in",
        {"image": "a", "ingress": {"host": "a.io"}, "route": {"parentRefs": [{"name": "public"}]}},
        "spec",
        "remove ingress to use the Gateway",
    ),
    ("no Gateway", {"image": "a", "route": {"parentRefs": []}}, "spec.route.parentRefs", "at least 1 item"),
    ("one Gateway twice", {"image": "a", "route": {"parentRefs": [{"name": "a"}] * 2}}, "spec.route", "one of each"),
    (
        "a rate limit that the controller is not told",
        {"image": "a", "ingress": {"className": "edge", "rateLimit": {"requestsPerSecond": 5}}},
        "spec.ingress",
        "className edge is None, which has no annotation for rateLimit; remove rateLimit",
    ),
    (
        "a rate limit for Contour",
        {"image": "a", "ingress": {"className": "contour", "rateLimit": {"requestsPerSecond": 5}}},
        "spec.ingress",
        "Contour has no annotation for rateLimit: it limits rates for its own HTTPProxy only; remove rateLimit",
    ),
    (
        "least connections for Contour",
        {"image": "a", "ingress": {"className": "contour", "loadBalancing": "LeastConnections"}},
        "spec.ingress",
        "remove loadBalancing",
    ),
    (
        "connections for Contour",
        {"image": "a", "ingress": {"className": "contour", "keepalive": 8}},
        "spec.ingress",
        "remove keepalive",
    ),
    (
        "a certificate for every host on Contour",
        {"image": "a", "ingress": {"className": "contour", "tlsSecretName": "cert"}},
        "spec.ingress",
        "add host, or remove tlsSecretName",
    ),
    (
        "a burst for HAProxy",
        {"image": "a", "ingress": {"className": "haproxy", "rateLimit": {"requestsPerSecond": 5, "burst": 2}}},
        "spec.ingress",
        "remove rateLimit.burst",
    ),
    (
        "connections for HAProxy",
        {"image": "a", "ingress": {"annotationProfile": "HAProxy", "keepalive": 8}},
        "spec.ingress",
        "remove keepalive",
    ),
    ("a redirect to nothing", {"image": "a", "ingress": {"httpsRedirect": True}}, "spec.ingress", "add tlsSecretName"),
    ("host with a scheme", {"image": "a", "ingress": {"host": "http://a"}}, "spec.ingress.host", "'http://a'"),
]


@pytest.mark.parametrize(("raw", "field", "fix"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_wrong_field_is_named_with_its_fix(raw: dict[str, Any], field: str, fix: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(raw)

    (problem,) = caught.value.problems
    assert field in problem.field
    assert fix in str(problem)


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec({"port": -1, "cache": {"timeoutSeconds": -1}})

    assert {problem.field for problem in caught.value.problems} == {
        "spec.image",
        "spec.port",
        "spec.cache.timeoutSeconds",
    }


def test_every_field_is_described() -> None:
    schema = ScalableAppSpec.model_json_schema(by_alias=True)
    models = [schema, *schema["$defs"].values()]

    bare = [
        f"{model['title']}.{name}"
        for model in models
        for name, field in model.get("properties", {}).items()
        if not field.get("description")
    ]
    assert bare == []
