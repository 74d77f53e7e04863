"""What an API server makes of the CRD, tried on a copy of it that no operator looks at."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from scalableapp.core.api.crd import crd, spec_schema
from scalableapp.core.api.fields import MOST_REPLICAS
from scalableapp.core.api.spec import OF_SCRAPING, WITHOUT_DEFAULTS, parse_spec
from tests.cluster.crd_copies import PLURAL, Copy, Manifest, copied
from tests.cluster.shop import answer, eventually, kubectl, refusal
from tests.spec_cases import BAD, GOOD, Spec, app, horizontal

pytestmark = pytest.mark.cluster

# The API server bounds what a rule and all rules together may cost.
ROOM = 20


@pytest.fixture(scope="module")
def kind() -> Iterator[Copy]:
    with copied() as made:
        made.install(crd())
        yield made


@pytest.fixture
def web(kind: Copy) -> Iterator[Manifest]:
    """An app that is stored."""
    yield kind.create(app(replicas=1))
    kind.kubectl("delete", kind.resource, "--all")


def as_the_models_have_it(spec: Spec) -> Spec:
    """With the defaults of the models, but for fields of an image: those stay as they are written, or absent."""
    made = parse_spec(spec).model_dump(mode="json", by_alias=True, exclude_none=True)
    left = {name: value for name, value in made.items() if name in spec or name not in WITHOUT_DEFAULTS}
    for name in OF_SCRAPING - spec.get("monitoring", {}).keys() if "monitoring" in left else ():
        del left["monitoring"][name]
    return left


def same(stored: Any, expected: Any) -> bool:
    """Whether they are alike; a quantity written as a number is stored as one, and is text for the models."""
    if isinstance(stored, dict) and isinstance(expected, dict):
        return stored.keys() == expected.keys() and all(same(stored[name], expected[name]) for name in stored)
    if isinstance(stored, list) and isinstance(expected, list):
        return len(stored) == len(expected) and all(map(same, stored, expected))
    return bool(stored == expected or (isinstance(expected, str) and str(stored) == expected))


@pytest.mark.parametrize("spec", GOOD.values(), ids=GOOD.keys())
def test_what_is_right_is_stored_with_the_defaults_of_the_models(kind: Copy, spec: Spec) -> None:
    stored = kind.create(spec, "--dry-run=server")["spec"]
    assert same(stored, as_the_models_have_it(spec)), stored


@pytest.mark.parametrize(("spec", "message"), BAD.values(), ids=BAD.keys())
def test_what_breaks_a_rule_is_refused_with_its_own_message(kind: Copy, spec: Spec, message: str) -> None:
    said = kind.refused(spec)
    assert message in said
    assert said.count("Invalid value") == 1


@pytest.mark.parametrize(
    ("backend", "length", "accepted"), [("Redis", 57, True), ("Redis", 58, False), ("Memory", 63, True)]
)
def test_an_app_with_a_redis_leaves_room_for_its_name(kind: Copy, backend: str, length: int, accepted: bool) -> None:
    manifest = kind.app(app(cache={"backend": backend}), "a" * length)
    done = answer("create", "--dry-run=server", "-f", "-", text=json.dumps(manifest))
    assert (done.returncode == 0) == accepted, done.stderr
    said = ("metadata.name: Invalid value", "the name is too long for an app with a Redis")
    assert accepted or all(message in done.stderr for message in said)


def parents(schema: Manifest, *path: str) -> Iterator[tuple[str, ...]]:
    """Where there is an object that need not be written, within what need not be written."""
    for name, field in schema["properties"].items():
        if field.get("default") is not None and "properties" in field:
            yield (*path, name)
            yield from parents(field, *path, name)


@pytest.mark.parametrize("value", [{}, None], ids=["empty", "null"])
@pytest.mark.parametrize("path", [*parents(spec_schema())], ids=".".join)
def test_a_parent_without_content_gets_all_defaults(kind: Copy, path: tuple[str, ...], value: Any) -> None:
    spec: Any = value
    for name in reversed(path):
        spec = {name: spec}
    stored = kind.create(app(**spec), "--dry-run=server")["spec"]
    assert stored == as_the_models_have_it(app())


def test_the_rules_could_cost_much_more() -> None:
    kubectl("create", "--dry-run=server", "-f", "-", text=json.dumps(costly(Copy().of(crd()))))


def costly(node: Any) -> Any:
    """Every rule as costly as so many of it."""
    if isinstance(node, list):
        return [costly(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {name: costly(item) for name, item in node.items()}
    if isinstance(found.get("rule"), str):
        found["rule"] = " && ".join([f"({found['rule']})"] * ROOM)
    return found


def test_a_field_that_it_does_not_know_is_refused_by_kubectl_and_pruned_by_the_api_server(kind: Copy) -> None:
    spec = app(prot=80, scaling={"horizontal": {"maxReplica": 3}})
    assert 'unknown field "spec.prot"' in kind.refused(spec)
    stored = kind.create(spec, "--dry-run=server", "--validate=ignore")["spec"]
    assert stored == as_the_models_have_it(app())


def test_of_two_who_apply_the_same_field_the_second_is_told_whose_it_is(kind: Copy) -> None:
    apply = ("apply", "--server-side", "-f", "-", "--field-manager")
    mine, yours = (json.dumps(kind.app(horizontal(maxReplicas=most))) for most in (5, 6))
    kubectl(*apply, "team", text=mine)
    said = refusal(*apply, "platform", text=yours)
    assert 'conflict with "team"' in said
    assert ".spec.scaling.horizontal.maxReplicas" in said
    assert kind.get()["spec"]["scaling"]["horizontal"]["maxReplicas"] == 5
    kubectl(*apply, "platform", "--force-conflicts", text=yours)
    assert kind.get()["spec"]["scaling"]["horizontal"]["maxReplicas"] == 6
    kind.kubectl("delete", kind.resource, "--all")


def test_two_may_own_a_variable_each(kind: Copy) -> None:
    for manager, name in (("team", "A"), ("platform", "B")):
        text = json.dumps(kind.app(app(env=[{"name": name, "value": manager}])))
        kubectl("apply", "--server-side", "-f", "-", "--field-manager", manager, text=text)
    assert [variable["name"] for variable in kind.get()["spec"]["env"]] == ["A", "B"]
    kind.kubectl("delete", kind.resource, "--all")


STATUS: Manifest = {
    "replicas": 3,
    "desiredReplicas": 4,
    "selector": "scalableapp.io/app=web",
    "url": "http://web.test/",
    "metrics": [{"name": "CPU", "current": "120m", "target": "300m"}],
    "decision": {"message": "as much as is asked for"},
    "resources": {"current": {"cpu": {"request": "100m"}, "memory": {"request": "128Mi"}}},
    "conditions": [{"type": "Ready", "status": "True", "reason": "InSync"}],
}


def test_status_is_written_apart_from_the_spec(kind: Copy, web: Manifest) -> None:
    kind.patch({"spec": {"port": 9000}, "status": STATUS}, "--subresource=status")
    found = kind.get()
    assert found["spec"] == web["spec"]
    assert found["status"] == STATUS
    assert found["metadata"]["generation"] == web["metadata"]["generation"]
    kind.patch({"spec": {"port": 9000}, "status": {"replicas": 7}})
    found = kind.get()
    assert found["spec"]["port"] == 9000
    assert found["status"] == STATUS
    assert found["metadata"]["generation"] == web["metadata"]["generation"] + 1


def test_kubectl_scale_pins_the_replicas(kind: Copy, web: Manifest) -> None:
    kind.patch({"status": STATUS}, "--subresource=status")
    kind.kubectl("scale", f"{kind.resource}/web", "--current-replicas=1", "--replicas=5")
    assert kind.get()["spec"] == web["spec"] | {"replicas": 5}
    scale = kind.get("web", "--subresource=scale")
    assert scale["spec"] == {"replicas": 5}
    assert scale["status"] == {"replicas": 3, "selector": "scalableapp.io/app=web"}
    said = refusal("-n", kind.namespace, "scale", f"{kind.resource}/web", f"--replicas={MOST_REPLICAS + 1}")
    assert f"less than or equal to {MOST_REPLICAS}" in said


def test_the_columns_say_how_an_app_is(kind: Copy, web: Manifest) -> None:
    kind.patch({"status": STATUS}, "--subresource=status")
    header, row = kind.kubectl("get", kind.resource, "web").splitlines()
    assert " ".join(header.split()) == "NAME MODE REPLICAS DESIRED MIN MAX METRIC TARGET READY REASON AGE"
    assert " ".join(row.split()[:-1]) == "web Horizontal 3 4 1 10 120m 300m True InSync"
    header, row = kind.kubectl("get", kind.resource, "web", "-o", "wide").splitlines()
    assert " ".join(header.split()).endswith("CPU MEMORY URL DECISION AGE")
    assert "100m 128Mi http://web.test/ as much as is asked for" in " ".join(row.split())


def test_explain_shows_meaning_default_and_choices(kind: Copy) -> None:
    explain = ("explain", f"--api-version={kind.group}/v1alpha1")
    assert "Maximum number of replicas. Default: 10." in kubectl(*explain, f"{PLURAL}.spec.scaling.horizontal")
    assert "LeastConnections" in kubectl(*explain, f"{PLURAL}.spec.ingress.loadBalancing")
    assert "minReplicas" in kubectl(*explain, f"{PLURAL}.spec.scaling", "--recursive")
    eventually(lambda: kubectl(*explain, f"{PLURAL}.status.conditions"))
