"""The Helm chart renders the objects of the kustomize overlays, and what its values promise."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalableapp import __version__
from scalableapp.core.api.crd import crd, source_crd
from scalableapp.settings import Settings
from tests.rendering import CHART, MANIFESTS, ROOT, SYSTEM, charted, combined, helm, kustomized, named, output, program

CRD = "CustomResourceDefinition /scalableapps.scalableapp.io"
SOURCES = "CustomResourceDefinition /requestsources.scalableapp.io"
OPERATOR = f"Deployment {SYSTEM}/scalableapp-operator"
KEEP = "helm.sh/resource-policy"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def as_by_kustomize(values: dict[str, Any]) -> dict[str, Any]:
    """The chart's objects, with the two things that are Helm's business as kustomize has them."""
    objects = named(charted(values))
    for kept in (CRD, SOURCES):
        assert objects[kept]["metadata"].pop("annotations") == {KEEP: "keep"}
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM, "labels": label}}
    return {f"Namespace /{SYSTEM}": namespace} | objects  # helm install --create-namespace makes it


def container(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = named(charted(values))[OPERATOR]["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize(
    ("values", "overlay", "components"),
    [
        pytest.param({}, "production", (), id="default values"),
        pytest.param({"namespaces": ["team-a"]}, "namespaced", (), id="namespaces"),
        pytest.param({"monitoring": {"enabled": True}}, "production", ("monitoring",), id="monitoring"),
        pytest.param({"targets": {"argoRollouts": True}}, "production", ("target-rollouts",), id="Argo Rollouts"),
        pytest.param({"settings": {"podTemplate": "All"}}, "production", ("pod-template-all",), id="any pods"),
    ],
)
def test_chart_and_kustomize_agree_object_by_object(
    tmp_path: Path, values: dict[str, Any], overlay: str, components: tuple[str, ...]
) -> None:
    by_kustomize = named(combined(tmp_path, f"overlays/{overlay}", *components))
    by_helm = as_by_kustomize(values)
    assert by_helm.keys() == by_kustomize.keys()
    for name, manifest in by_kustomize.items():
        assert by_helm[name] == manifest, name


@pytest.mark.parametrize(
    ("namespaces", "role"),
    [([], "ClusterRole /scalableapp-operator"), (["team-a"], "Role team-a/scalableapp-operator")],
    ids=["all namespaces", "one namespace"],
)
def test_secrets_are_listed_where_that_is_asked_for_alone(namespaces: list[str], role: str) -> None:
    for asked in (False, True):
        rules = named(charted({"namespaces": namespaces, "rolloutOnSecrets": asked}))[role]["rules"]
        granted = [rule["verbs"] for rule in rules if "secrets" in rule["resources"]]
        assert granted == ([["list"]] if asked else [])


def test_what_a_prometheus_asks_for_is_on_all_that_it_is_to_find() -> None:
    release = {"release": "kube-prometheus-stack"}
    found = charted({"monitoring": {"enabled": True, "labels": release}})
    labelled = {
        manifest["kind"] for manifest in found if release.items() <= manifest["metadata"].get("labels", {}).items()
    }
    assert labelled == {"PodMonitor", "PrometheusRule"}


def test_a_second_namespace_gets_a_role_of_its_own() -> None:
    one, two = (named(charted({"namespaces": names})) for names in (["team-a"], ["team-a", "team-b"]))
    added = {"Role team-b/scalableapp-operator", "RoleBinding team-b/scalableapp-operator"}
    assert two.keys() - one.keys() == added
    role = two["Role team-b/scalableapp-operator"]
    assert role["rules"] == one["Role team-a/scalableapp-operator"]["rules"]


def test_the_crds_are_those_that_there_are() -> None:
    found = named(charted({"crds": {"keep": False}}))
    assert (found[CRD], found[SOURCES]) == (crd(), source_crd())


@pytest.mark.parametrize(
    ("values", "gone"),
    [
        ({"crds": {"install": False}}, {CRD, SOURCES}),
        ({"userRoles": {"create": False}}, {f"ClusterRole /scalableapp-{role}" for role in ("view", "edit", "admin")}),
        ({"priorityClass": {"create": False}}, {"PriorityClass /scalableapp-operator"}),
    ],
    ids=["crds", "userRoles", "priorityClass"],
)
def test_what_others_install_is_left_out(values: dict[str, Any], gone: set[str]) -> None:
    whole, rest = named(charted({})), named(charted(values))
    assert whole.keys() - rest.keys() == gone
    assert rest == {name: manifest for name, manifest in whole.items() if name not in gone}


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({"repository": "team/op"}, f"team/op:{__version__}"),
        ({"repository": "r.example/op", "tag": "1.2.3"}, "r.example/op:1.2.3"),
        ({"repository": "r.example/op", "tag": "1.2.3", "digest": DIGEST}, f"r.example/op@{DIGEST}"),
    ],
    ids=["version of the chart", "tag", "digest before tag"],
)
def test_the_image_is_named_by_tag_or_digest(image: dict[str, str], reference: str) -> None:
    assert container({"image": image})["image"] == reference


@pytest.mark.parametrize("repository", ["r.example/op", "localhost:5000/op"])
def test_an_image_of_a_registry_needs_a_digest_or_a_tag_that_somebody_has_chosen(repository: str) -> None:
    with pytest.raises(AssertionError, match=r"names a registry; set image\.digest"):
        charted({"image": {"repository": repository}})


def test_the_admission_policy_is_about_the_service_account_of_the_release() -> None:
    command = (program("helm"), "template", "scalableapp", str(CHART), "--namespace", "autoscaling")
    policies = [found for found in yaml.safe_load_all(output(*command)) if found["kind"] == "ValidatingAdmissionPolicy"]
    accounts = {condition["expression"] for found in policies for condition in found["spec"]["matchConditions"]}
    assert len(policies) == 3
    assert accounts == {"request.userInfo.username == 'system:serviceaccount:autoscaling:scalableapp-operator'"}


def test_settings_become_the_operators_variables() -> None:
    values = {"settings": {"intervalSeconds": 10, "logLevel": "DEBUG", "redisImage": "r.example/redis:8"}}
    variables = {variable["name"]: variable.get("value") for variable in container(values)["env"]}
    assert variables["SCALABLEAPP_INTERVAL_SECONDS"] == "10"
    assert variables["SCALABLEAPP_LOG_LEVEL"] == "DEBUG"
    assert variables["SCALABLEAPP_REDIS_IMAGE"] == "r.example/redis:8"


CONFIG = f"ConfigMap {SYSTEM}/scalableapp-prometheus"
MONITORING_VIEW = "ClusterRoleBinding /scalableapp-operator-cluster-monitoring-view"
CA = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
CONNECTIONS = {
    "a tenant": ({"headers": {"X-Scope-OrgID": "a"}}, {"http_headers": {"X-Scope-OrgID": {"values": ["a"]}}}),
    "a CA": ({"caBundle": CA}, {"tls_config": {"ca_file": "ca.crt"}}),
    "matchers": ({"matchers": 'cluster="a"'}, {"matchers": 'cluster="a"'}),
    "OpenShift": (
        {"bearerTokenFromServiceAccount": True},
        {
            "authorization": {"credentials_file": "/var/run/secrets/kubernetes.io/serviceaccount/token"},
            "tls_config": {"ca_file": "service-ca.crt"},
        },
    ),
}


@pytest.mark.parametrize(("values", "fields"), CONNECTIONS.values(), ids=CONNECTIONS.keys())
def test_a_connection_is_stated_in_a_file_of_the_operator(values: dict[str, Any], fields: dict[str, Any]) -> None:
    url = "https://thanos:9091"
    objects = named(charted({"prometheus": {"url": url, **values}}))
    assert yaml.safe_load(objects[CONFIG]["data"]["prometheus.yaml"]) == {"url": url, **fields}
    assert objects[CONFIG]["data"].get("ca.crt") == values.get("caBundle")
    variables = {each["name"] for each in container({"prometheus": values})["env"]}
    assert {name for name in variables if "PROMETHEUS" in name} == {"SCALABLEAPP_PROMETHEUS_CONFIG"}
    assert (MONITORING_VIEW in objects) == ("bearerTokenFromServiceAccount" in values)


def test_a_secret_states_the_whole_connection_by_helm_and_kustomize_alike(tmp_path: Path) -> None:
    by_helm = named(charted({"prometheus": {"existingSecret": "scalableapp-prometheus"}}))
    by_kustomize = named(combined(tmp_path, "overlays/production", "prometheus-config"))
    assert CONFIG not in by_helm
    pods = [found[OPERATOR]["spec"]["template"]["spec"] for found in (by_helm, by_kustomize)]
    assert pods[0]["volumes"] == sorted(pods[1]["volumes"], key=lambda volume: volume["name"], reverse=True)
    mounts = [{mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]} for pod in pods]
    assert mounts[0] == mounts[1] == {"/tmp", "/etc/scalableapp/prometheus"}  # noqa: S108 - in the pod
    with pytest.raises(AssertionError, match=r"move bearerTokenFromServiceAccount, headers, caBundle and matchers"):
        charted({"prometheus": {"existingSecret": "a", "matchers": 'cluster="a"'}})


def test_what_else_the_operator_s_pod_needs_is_added() -> None:
    variable, volume = {"name": "HTTPS_PROXY", "value": "http://proxy"}, {"name": "more", "emptyDir": {}}
    mount = {"name": "more", "mountPath": "/more"}
    values = {"extraEnv": [variable], "extraVolumes": [volume], "extraVolumeMounts": [mount]}
    pod = named(charted(values))[OPERATOR]["spec"]["template"]["spec"]
    assert volume in pod["volumes"]
    assert variable in pod["containers"][0]["env"]
    assert mount in pod["containers"][0]["volumeMounts"]


def test_each_setting_of_the_schema_is_one_of_the_operator() -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    offered = schema["properties"]["settings"]["properties"]
    known = {alias(name) for name in Settings.model_fields}
    # These have a value of their own, or follow from where the chart is installed.
    assert known - offered.keys() == {
        "prometheusUrl",
        "namespaces",
        "prometheusConfig",
        "leaseNamespace",
        "metricsPort",
        "livenessPort",
    }
    assert offered.keys() <= known


def test_the_schema_knows_the_values_that_are_described_and_no_others() -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())["properties"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert schema.keys() - {"global"} == values.keys()  # Helm itself gives every chart `global`
    for name in values.keys() - {"settings"}:
        if schema[name].get("additionalProperties") is False:
            assert schema[name]["properties"].keys() == values[name].keys(), name


def alias(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.title() for part in others)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"prometheus": {"url": "prometheus:9090"}}, "/prometheus/url"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"namespaces": ["Team A"]}, "/namespaces/0"),
        ({"settings": {"interval": 5}}, "/settings"),
        ({"networkpolicy": {"enabled": True}}, "networkpolicy"),
        ({"prometheus": {"headers": {"X-Scope-OrgID": 7}}}, "/prometheus/headers/X-Scope-OrgID"),
        ({"settings": {"queryScope": "All"}}, "/settings/queryScope"),
    ],
    ids=["no scheme", "a tag as digest", "no namespace", "unknown setting", "misspelt value", "a number", "no scope"],
)
def test_a_wrong_value_is_refused_and_named(values: dict[str, Any], field: str) -> None:
    with pytest.raises(AssertionError, match="don't meet the specifications of the schema") as refusal:
        charted(values)
    assert field in str(refusal.value)


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_notes_say_what_comes_next() -> None:
    notes = helm("install", {"namespaces": ["team-a"]}, CHART, "--dry-run=client").partition("NOTES:")[2]
    assert "for the namespaces team-a" in notes
    assert "kubectl -n scalableapp-system rollout status deployment/scalableapp-operator" in notes
    assert "leaves the CRD" in notes


def test_helm_finds_nothing_to_complain_about() -> None:
    output(program("helm"), "lint", "--strict", str(CHART))


def test_dist_holds_what_the_sources_render(tmp_path: Path) -> None:
    program("helm")
    done = subprocess.run(
        ["make", "dist", f"DIST={tmp_path}"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    installed = list(yaml.safe_load_all((tmp_path / "install.yaml").read_text()))
    assert named(installed) == named(kustomized(MANIFESTS / "overlays" / "production"))
    archive = tmp_path / f"scalableapp-{__version__}.tgz"
    assert named(charted({}, archive)) == named(charted({}))
