"""The CRD of today in place of earlier ones, with apps stored; on copies that no operator looks at."""

import json
import re
from collections.abc import Iterator

import pytest

from scalableapp.core.api.crd import crd
from scalableapp.core.api.spec import WITHOUT_DEFAULTS, parse_spec
from tests.cluster.crd_copies import Copy, Manifest, copied, old
from tests.cluster.shop import answer, refusal
from tests.spec_cases import BAD, GOOD, Spec, app

pytestmark = pytest.mark.cluster

# What the first CRD could hold.
FIRST: dict[str, Spec] = {
    "alone": app(),
    "measured": app(
        scaling={
            "horizontal": {
                "maxReplicas": 20,
                "metrics": [{"type": "CPU", "target": 0.25}, {"type": "Prometheus", "query": "x", "target": "5"}],
            }
        }
    ),
    "exposed": app(ingress={"host": "a.test", "className": "nginx", "tlsSecretName": "cert"}),
    "hidden": app(ingress={"enabled": False}, env=[{"name": "A", "value": "1"}]),
}


def storable(specs: dict[str, Spec]) -> dict[str, Spec]:
    """Those that the last CRD without rules could hold, by names that apps may have."""
    return {
        re.sub("[^a-z0-9]+", "-", name.lower())[:57].strip("-"): spec
        for name, spec in specs.items()
        if spec.get("ingress", {}).get("annotationProfile") != "Contour"
        and spec.get("ingress", {}).get("host") != "*"
        and spec.get("port") != 0
        and spec.keys() >= {"image"}
        and knows(OLD_SPEC, spec)
    }


def knows(schema: Manifest, value: object) -> bool:
    """Whether a schema has all fields of a value."""
    if isinstance(value, list):
        return all(knows(schema["items"], item) for item in value)
    if not isinstance(value, dict) or "properties" not in schema:
        return True
    fields = schema["properties"]
    return all(name in fields and knows(fields[name], item) for name, item in value.items())


OLD_SPEC: Manifest = old("without-rules")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


NAMED_GOOD = storable(GOOD)
NAMED_BAD = storable({name: spec for name, (spec, _) in BAD.items()})
# Of 58 letters, one too many for the Redis of the app.
NAMED_BAD["a-name-so-long-that-it-leaves-no-room-for-that-of-its-redi"] = app(cache={"backend": "Redis"})


@pytest.fixture(scope="module", params=[("first", FIRST), ("without-rules", NAMED_GOOD)], ids=["first", "last"])
def upgraded(request: pytest.FixtureRequest) -> Iterator[tuple[Copy, dict[str, Spec]]]:
    """Apps that were stored under an earlier CRD."""
    definition, specs = request.param
    with copied() as kind:
        kind.install(old(definition))
        kind.create_all(specs)
        kind.upgrade(crd())
        yield kind, specs


def test_stored_apps_are_read_with_all_defaults_of_today(upgraded: tuple[Copy, dict[str, Spec]]) -> None:
    kind, specs = upgraded
    found = kind.all()
    assert found.keys() == specs.keys()
    for name, spec in specs.items():
        stored = found[name]["spec"]
        made = parse_spec(stored).model_dump(mode="json", by_alias=True, exclude_none=True)
        made = {field: value for field, value in made.items() if field in stored or field not in WITHOUT_DEFAULTS}
        assert shape(stored) == shape(made)
        assert stored.items() >= {field: spec[field] for field in ("image", "env") if field in spec}.items()


def shape(value: object) -> object:
    """Fields without their values."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else ""


def test_stored_apps_can_be_edited_scaled_and_get_a_status(upgraded: tuple[Copy, dict[str, Spec]]) -> None:
    kind, specs = upgraded
    complaints = written(kind)
    assert {name: what_came_of_it(found) for name, found in kind.all().items()} == dict.fromkeys(specs, ALL), complaints


ALL = ("yes", 2, "a:2", True, 2)


def written(kind: Copy) -> str:
    """Give all apps a label, replicas, another image and a status. Returns what the API server has against it."""
    apps = kind.kubectl("get", kind.resource, "-o", "yaml")
    edit = {"spec": {"image": "a:2", "scaling": {"paused": True}}}
    status = {"status": {"replicas": 2}}
    steps = (
        ("label", "seen=yes"),
        ("scale", "--replicas=2"),
        ("patch", "--type=merge", "-p", json.dumps(edit)),
        ("patch", "--type=merge", "--subresource=status", "-p", json.dumps(status)),
    )
    return "".join(answer(*step, "-f", "-", text=apps).stderr for step in steps)


def what_came_of_it(found: Manifest) -> tuple[object, ...]:
    spec = found["spec"]
    label = found["metadata"].get("labels", {}).get("seen")
    status = found.get("status", {}).get("replicas")
    return label, spec.get("replicas"), spec["image"], spec["scaling"]["paused"], status


@pytest.fixture(scope="module")
def broken() -> Iterator[Copy]:
    """Apps that broke the rules of today before there were any."""
    with copied() as kind:
        kind.install(old("without-rules"))
        kind.create_all(NAMED_BAD)
        kind.upgrade(crd())
        yield kind


@pytest.fixture(scope="module")
def touched(broken: Copy) -> tuple[dict[str, Manifest], str]:
    complaints = written(broken)
    return broken.all(), complaints


@pytest.mark.parametrize("name", NAMED_BAD)
def test_what_was_stored_before_a_rule_can_be_edited_elsewhere_scaled_and_gets_a_status(
    touched: tuple[dict[str, Manifest], str], name: str
) -> None:
    found, complaints = touched
    assert what_came_of_it(found[name]) == ALL, complaints


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("min-over-max", {"scaling": {"horizontal": {"combine": "Min"}}}),
        ("a-redirect-to-nothing", {"ingress": {"path": "/x"}}),
        ("hold-with-replicas", {"scaling": {"horizontal": {"fallback": {"afterSeconds": 60}}}}),
    ],
)
def test_who_edits_the_object_that_breaks_a_rule_has_to_put_it_right(broken: Copy, name: str, change: Spec) -> None:
    patch = ("patch", broken.resource, name, "--type=merge", "-p", json.dumps({"spec": change}))
    _, message = BAD[name.replace("-", " ")]
    assert message in refusal("-n", broken.namespace, *patch)


@pytest.mark.parametrize(
    ("name", "change"),
    [("two-ways-in", {"ingress": None}), ("min-over-max", {"scaling": {"horizontal": {"minReplicas": 1}}})],
)
def test_what_is_put_right_cannot_be_broken_again(broken: Copy, name: str, change: Spec) -> None:
    was = broken.get(name)["spec"]
    broken.patch({"spec": change}, name=name)
    again = json.dumps({"spec": {field: was[field] for field in change}})
    _, message = BAD[name.replace("-", " ")]
    assert message in refusal("-n", broken.namespace, "patch", broken.resource, name, "--type=merge", "-p", again)
