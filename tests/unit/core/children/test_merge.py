"""Strategic merge of spec.podTemplate, by itself and beside that of the real API server."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalableapp.core.api.pod_template import PodTemplate
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.merge import merged
from scalableapp.core.children.resources import ClusterFeatures, children
from scalableapp.core.model import AppKey
from tests.control_plane import ControlPlane, control_plane

STRATEGIC = "application/strategic-merge-patch+json"
PATH = "/apis/apps/v1/namespaces/default/deployments/web"
BASE: dict[str, Any] = children(AppKey("default", "web"), "u", parse_spec({"image": "web:1"}), ClusterFeatures())[0]


def pod(**fields: Any) -> dict[str, Any]:
    return {"spec": fields}


def app(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "app", **fields}])


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as plane:
        deployment = copy.deepcopy(BASE)
        del deployment["metadata"]["ownerReferences"]
        plane.ask("POST", PATH.rpartition("/")[0], deployment)
        yield plane


def by_the_api_server(plane: ControlPlane, patch: dict[str, Any]) -> dict[str, Any]:
    """The template after `kubectl patch --dry-run=server`."""
    answer = plane.ask("PATCH", f"{PATH}?dryRun=All", {"spec": {"template": patch}}, STRATEGIC)
    return dict(answer["spec"]["template"])


def as_written(plane: ControlPlane, template: dict[str, Any]) -> dict[str, Any]:
    """The template as the API server writes it when it is put in place whole."""
    live = plane.ask("GET", PATH)
    live["spec"]["template"] = template
    return dict(plane.ask("PUT", f"{PATH}?dryRun=All", live)["spec"]["template"])


PATCHES = {
    "nothing": {},
    "labels and annotations": {"metadata": {"labels": {"team": "shop"}, "annotations": {"a.io/b": "c"}}},
    "an account and pull secrets": pod(serviceAccountName="shop", imagePullSecrets=[{"name": "a"}, {"name": "b"}]),
    "a pod's user": pod(securityContext={"runAsUser": 1000, "fsGroup": 1000}),
    "placement": pod(
        nodeSelector={"kubernetes.io/arch": "arm64"},
        tolerations=[{"key": "spot", "operator": "Exists"}],
        affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}},
    ),
    "an init container": pod(initContainers=[{"name": "migrate", "image": "web:1", "args": ["migrate"]}]),
    "a sidecar beside the app": pod(containers=[{"name": "nginx", "image": "nginx"}]),
    "a sidecar behind the app": pod(containers=[{"name": "app"}, {"name": "nginx", "image": "nginx"}]),
    "a variable more": app(env=[{"name": "A", "value": "1"}]),
    "variables in another order": app(env=[{"name": "PORT", "value": "1"}, {"name": "A", "value": "$(POD_NAME)"}]),
    "a variable less": app(env=[{"name": "PORT", "$patch": "delete"}]),
    "no liveness": app(livenessProbe=None),
    "a slower start": app(startupProbe={"failureThreshold": 600}),
    "readiness elsewhere": app(
        readinessProbe={"httpGet": {"port": 8081, "httpHeaders": [{"name": "Host", "value": "a.io"}]}}
    ),
    "a volume and its mount": pod(
        volumes=[{"name": "config", "configMap": {"name": "shop"}}],
        containers=[{"name": "app", "volumeMounts": [{"name": "config", "mountPath": "/etc/shop"}]}],
    ),
    "the mount at /tmp replaced": pod(
        volumes=[{"name": "big", "emptyDir": {}}],
        containers=[{"name": "app", "volumeMounts": [{"name": "big", "mountPath": "/tmp"}]}],  # noqa: S108 - the app's
    ),
    "a larger /tmp": pod(volumes=[{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]),
    "another port": app(ports=[{"containerPort": 9090, "name": "metrics"}]),
    "a list of another app's hosts": pod(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a"]}]),
    "another spread": pod(
        topologySpreadConstraints=[{"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}]
    ),
    "a spread replaced": pod(topologySpreadConstraints=[{"$patch": "replace"}]),
    "capabilities": app(securityContext={"capabilities": {"add": ["NET_BIND_SERVICE"]}}),
    "a security context replaced": app(securityContext={"$patch": "replace", "runAsUser": 5}),
    "no grace": pod(terminationGracePeriodSeconds=None),
    "nulls inside of what is new": pod(dnsConfig={"nameservers": ["10.0.0.10"], "searches": None}),
    "a projected volume": pod(
        volumes=[{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": None}}]}}]
    ),
}


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_the_merge_is_the_api_servers(plane: ControlPlane, patch: dict[str, Any]) -> None:
    ours = merged(BASE["spec"]["template"], PodTemplate.model_validate(patch).patch)
    assert as_written(plane, ours) == by_the_api_server(plane, patch)


_NAMES = st.sampled_from(["app", "tmp", "POD_NAME", "PORT", "CACHE_BACKEND", "a", "b"])


def _entries(fields: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Entries with names of the operator's or of others, some of them removed."""
    return st.lists(st.tuples(_NAMES, fields), max_size=4, unique_by=lambda entry: entry[0]).map(
        lambda found: [{"name": name, **inner} for name, inner in found]
    )


_ENV = _entries(st.sampled_from([{"value": "1"}, {"value": "2"}, {"$patch": "delete"}])).map(
    # A value beside the operator's valueFrom is where ours departs from the API server.
    lambda found: [entry for entry in found if entry["name"] != "POD_NAME" or "value" not in entry]
)
_PROBE = st.none() | st.fixed_dictionaries(
    {}, optional={"periodSeconds": st.integers(1, 9), "httpGet": st.just({"path": "/x"}), "timeoutSeconds": st.none()}
)
_APP = st.fixed_dictionaries(
    {"name": st.just("app")},
    optional={
        "env": _ENV,
        "livenessProbe": _PROBE,
        "readinessProbe": _PROBE,
        "lifecycle": st.none(),
        "args": st.lists(st.just("x"), max_size=2) | st.none(),
        "imagePullPolicy": st.sampled_from(["Always", None]),
    },
)
_CONTAINERS = st.tuples(_APP, st.booleans(), st.booleans()).map(
    lambda drawn: [
        *([{"name": "first", "image": "f"}] if drawn[1] else []),
        drawn[0],
        *([{"name": "last", "image": "l", "env": None}] if drawn[2] else []),
    ]
)
_SPECS = st.fixed_dictionaries(
    {},
    optional={
        "containers": _CONTAINERS,
        "nodeSelector": st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"])) | st.none(),
        "hostAliases": st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2"]), unique=True, max_size=2).map(
            lambda ips: [{"ip": ip, "hostnames": ["h"]} for ip in ips]
        ),
        "securityContext": st.sampled_from([None, {"runAsUser": 7}, {"$patch": "replace", "fsGroup": 3}]),
        "enableServiceLinks": st.sampled_from([True, None]),
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spec=_SPECS)
def test_any_merge_is_the_api_servers(plane: ControlPlane, spec: dict[str, Any]) -> None:
    ours = merged(BASE["spec"]["template"], PodTemplate.model_validate({"spec": spec}).patch)
    assert as_written(plane, ours) == by_the_api_server(plane, {"spec": spec})


BETTER = {
    "another probe": (app(livenessProbe={"exec": {"command": ["true"]}}), ("livenessProbe", "httpGet")),
    "another preStop": (app(lifecycle={"preStop": {"exec": {"command": ["true"]}}}), ("lifecycle", "preStop", "sleep")),
    "a value in place of a source": (app(env=[{"name": "POD_NAME", "value": "x"}]), ("env", 0, "valueFrom")),
    "a probe deleted by its directive": (app(livenessProbe={"$patch": "delete"}), ("livenessProbe",)),
}


@pytest.mark.parametrize(("patch", "gone"), BETTER.values(), ids=BETTER)
def test_what_the_api_server_makes_invalid_replaces_what_stood_there(
    plane: ControlPlane, patch: dict[str, Any], gone: tuple[Any, ...]
) -> None:
    with pytest.raises(requests.HTTPError):
        by_the_api_server(plane, patch)
    ours = merged(BASE["spec"]["template"], PodTemplate.model_validate(patch).patch)
    found: Any = as_written(plane, ours)["spec"]["containers"][0]
    for part in gone[:-1]:
        found = found[part]
    assert gone[-1] not in found


def test_another_source_of_a_volume_replaces_the_one_before() -> None:
    patch = pod(volumes=[{"name": "tmp", "persistentVolumeClaim": {"claimName": "c"}}])
    volumes = merged(BASE["spec"]["template"], patch)["spec"]["volumes"]
    assert volumes == [{"name": "tmp", "persistentVolumeClaim": {"claimName": "c"}}]


def test_ports_of_two_protocols_are_two() -> None:
    patch = app(ports=[{"containerPort": 8000, "protocol": "UDP"}])
    ports = merged(BASE["spec"]["template"], patch)["spec"]["containers"][0]["ports"]
    assert [(port["containerPort"], port["protocol"]) for port in ports] == [(8000, "UDP"), (8000, "TCP")]


@given(spec=_SPECS)
def test_neither_side_of_a_merge_is_changed_and_the_same_patch_again_changes_nothing(spec: dict[str, Any]) -> None:
    before, patch = copy.deepcopy(BASE["spec"]["template"]), {"spec": spec}
    given_patch = copy.deepcopy(patch)
    once = merged(before, patch)
    assert (before, patch) == (BASE["spec"]["template"], given_patch)
    again = merged(once, patch)
    assert again["spec"] == once["spec"]
