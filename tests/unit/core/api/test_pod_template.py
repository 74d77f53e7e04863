"""What spec.podTemplate and the fields beside it may hold."""

from typing import Any

import pytest

from scalableapp.core.api.pod_template import PodTemplate
from scalableapp.core.api.spec import parse_spec
from scalableapp.errors import SpecError


def refusal(**spec: Any) -> str:
    with pytest.raises(SpecError) as refused:
        parse_spec({"image": "a"} | spec)
    return str(refused.value)


def overlay(**fields: Any) -> dict[str, Any]:
    return {"podTemplate": {"spec": fields}}


def app(**fields: Any) -> dict[str, Any]:
    return overlay(containers=[{"name": "app", **fields}])


def nested(depth: int) -> dict[str, Any]:
    return {"a": nested(depth - 1)} if depth else {}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a label that selects pods": (
        {"podTemplate": {"metadata": {"labels": {"scalableapp.io/app": "x"}}}},
        "spec.podTemplate.metadata.labels: scalableapp.io/app is a label by which pods are selected; remove it",
    ),
    "replicas": (overlay(replicas=3), "replicas is not a field of a pod; use spec.replicas or spec.scaling"),
    "replicas beside the spec": ({"podTemplate": {"replicas": 3}}, "spec.podTemplate.replicas"),
    "a template in the template": (overlay(template={}), "template is not a field of a pod"),
    "no containers": (overlay(containers=None), "containers removes the app's own container"),
    "all containers replaced": (
        overlay(containers=[{"$patch": "replace"}, {"name": "other", "image": "b"}]),
        "containers removes the app's own container",
    ),
    "the app's container removed": (app(**{"$patch": "delete"}), "may be changed but not removed or renamed"),
    "the app's container replaced": (app(**{"$patch": "replace"}), "may be changed but not removed or renamed"),
    "the app's requests": (app(resources={"requests": {"cpu": "1"}}), "from spec.resources; set them there"),
    "the app's resources removed": (app(resources=None), "from spec.resources; set them there"),
    "an entry without its key": (overlay(containers=[{"image": "b"}]), "containers[0] has no name"),
    "a mount without its path": (app(volumeMounts=[{"name": "a"}]), "containers[0].volumeMounts[0] has no mountPath"),
    "a key that is a map": (overlay(volumes=[{"name": {}}]), "volumes[0].name is not a name or a number"),
    "a list written as a map": (overlay(containers={"app": {}}), "containers is not a list"),
    "an entry that is no map": (overlay(volumes=["a"]), "volumes[0] is not a mapping"),
    "an unknown directive": (overlay(securityContext={"$patch": "merge"}), "securityContext.$patch is 'merge'"),
    "another directive": (overlay(**{"$retainKeys": ["a"]}), "$retainKeys is not a directive"),
    "what is nested without end": (overlay(a=nested(30)), "nested more than 20 deep"),
    "a mount with two sources": (
        {"mounts": [{"path": "/a", "configMap": "c", "secret": "s"}]},
        "/a has 2 sources; set exactly one of configMap, secret and emptyDir",
    ),
    "a mount without a source": ({"mounts": [{"path": "/a"}]}, "/a has 0 sources"),
    "two mounts of one path": (
        {"mounts": [{"path": "/a", "configMap": "c"}, {"path": "/a", "secret": "s"}]},
        "/a is mounted twice; keep one of each path",
    ),
    "a relative path": ({"mounts": [{"path": "a", "configMap": "c"}]}, "spec.mounts[0].path"),
    "an Ingress to an app without a port": (
        {"port": 0, "ingress": {"host": "a.io"}},
        "port is 0, so the app serves no",
    ),
    "a route to an app without a port": ({"port": 0, "route": {"parentRefs": [{"name": "p"}]}}, "port is 0"),
    "a header with a line end": (
        {"health": {"headers": [{"name": "A\n", "value": "b"}]}},
        "spec.health.headers[0].name",
    ),
}


@pytest.mark.parametrize(("spec", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_by_name(spec: dict[str, Any], words: str) -> None:
    assert words in refusal(**spec)


def test_fields_that_are_stated_are_named() -> None:
    template = PodTemplate.model_validate(
        {
            "metadata": {"labels": {"team": "shop"}},
            "spec": {
                "tolerations": [{"key": "spot"}],
                "securityContext": {"$patch": "replace", "runAsUser": 5},
                "containers": [{"name": "app", "livenessProbe": None, "env": [{"name": "A", "value": "1"}]}],
                "volumes": [{"name": "tmp", "$patch": "delete"}],
            },
        }
    )
    assert template.stated == (
        "metadata.labels.team",
        "spec.tolerations",
        "spec.securityContext",
        "spec.securityContext.runAsUser",
        "spec.containers[app].livenessProbe",
        "spec.containers[app].env[A].value",
        "spec.volumes[tmp]",
    )


def test_fields_of_before_mean_what_they_meant() -> None:
    spec = parse_spec({"image": "a", "health": {"livenessPath": "/a"}, "securityContext": {"runAsUser": 5}})
    assert (spec.health.liveness_path, spec.health.readiness_path, spec.health.port) == ("/a", "/readyz", None)
    assert spec.security_context.run_as_non_root
