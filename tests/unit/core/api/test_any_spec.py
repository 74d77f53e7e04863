"""Whatever the API server lets through is applied or refused by name: nothing else comes of it."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
import yaml
from hypothesis import example, given

from scalableapp.adapters.kube_api import as_yaml
from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from scalableapp.core.children.resources import ClusterFeatures, children
from scalableapp.core.horizontal.decide import decide
from scalableapp.core.model import AppKey, History
from scalableapp.core.targets import InvalidTarget, as_deployed, template_of
from scalableapp.core.vertical.sized import template_size
from scalableapp.engine.record import AppRecord
from scalableapp.errors import SpecError
from tests.spec_cases import Spec, app
from tests.spec_strategies import specs
from tests.unit.core.build import observe, per_pod

KEY = AppKey("shop", "web")


def requested(quantity: object, resource: str = "cpu") -> Spec:
    return app(resources={"requests": {"cpu": "1", resource: quantity}, "limits": {}})


@given(spec=specs())
@example(requested("500u"))
@example(requested("1n"))
@example(requested("1e999"))
@example(app(scaling={"mode": "Vertical", "vertical": {"maxAllowed": {"memory": "1e999"}}}))
@example(app(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "\ud800", "key": "k"}}}]))
def test_any_spec_is_applied_or_refused_with_the_field(spec: Spec) -> None:
    record = AppRecord(KEY)
    record.read(spec)
    if record.spec_error:
        problems = record.spec_error.problems
        assert all(problem.field.startswith("spec") and problem.fix for problem in problems)
        assert "internal error" not in str(record.spec_error)
    else:
        spec_ = record.target.stated if record.target else record.spec
        assert spec_
        _applied(spec_)
        _decided(spec_)


def _applied(spec: ScalableAppSpec) -> None:
    """The manifests reach the API server as they are meant, and what it writes back can be read."""
    for manifest in children(KEY, "uid", spec, ClusterFeatures(gateway_api=True)):
        assert yaml.safe_load(as_yaml(manifest)) == json.loads(json.dumps(manifest))
        if manifest["kind"] == "Deployment":
            template_size(manifest)


REQUESTED = template_of(
    {
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "web", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]}
            }
        }
    }
)


def _decided(spec: ScalableAppSpec) -> None:
    if spec.target_ref:
        with suppress(InvalidTarget):
            _decided(as_deployed(spec, REQUESTED).changed(target_ref=None))
        return
    for load in (0.0, 50.0, 1e308):
        readings = {metric.label: per_pod(*[load] * 3) for metric in spec.metrics}
        seen = replace(observe(current=3), readings=readings)
        assert 0 <= decide(spec, seen, History()).replicas_to <= 100_000


@pytest.mark.parametrize(
    ("quantity", "written", "target"),
    [("500u", "1m", "1m"), ("1n", "1m", "1m"), ("1.5", "1500m", "1200m"), ("1e3", "1k", "800000m"), (2, "2", "1600m")],
    ids=str,
)
def test_a_request_is_written_as_the_api_server_keeps_it_and_so_is_the_target_made_of_it(
    quantity: object, written: str, target: str
) -> None:
    spec = parse_spec(requested(quantity))
    deployment = children(KEY, "uid", spec, ClusterFeatures())[0]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] == {"cpu": written}
    assert spec.metrics[0].target == target


@pytest.mark.parametrize(
    "quantity",
    ["1e999", "1e-999", "9223372036854775808", 10**400, "1" * 5000],
    ids=lambda q: str(q)[:20] if isinstance(q, str) else "int",
)
def test_what_no_quantity_of_kubernetes_can_hold_is_refused(quantity: object) -> None:
    with pytest.raises(SpecError, match=r"spec\.resources\.requests\.memory: ") as refused:
        parse_spec(requested(quantity, "memory"))
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (app(args=["a", "\udc00"]), "spec.args[1]"),
        (app(env=[{"name": "A", "value": "x\ud83c"}]), "spec.env[0].value"),
        (app(envFrom=[{"configMapRef": {"name": "\ud800"}}]), "spec.envFrom[0].configMapRef.name"),
        (app(ingress={"annotations": {"\ud800": "a"}}), "spec.ingress.annotations"),
    ],
    ids=["a text in a list", "the end of a text", "a part that only the API server knows", "a name"],
)
def test_half_a_surrogate_pair_is_refused_by_name(spec: Spec, field: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_spec(spec)
    (problem,) = refused.value.problems
    assert problem.field.startswith(field)
