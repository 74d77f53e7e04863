from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.drift import in_sync, owned_by
from scalableapp.core.children.resources import ClusterFeatures, children, name_problem, unwanted
from scalableapp.core.children.routing import url_of
from scalableapp.core.model import AppKey
from scalableapp.core.quantity import canonical_quantity, parse_quantity
from scalableapp.errors import SpecError

KEY = AppKey("shop", "cart")


def made(**spec: Any) -> dict[str, dict[str, Any]]:
    manifests = children(KEY, "uid-1", parse_spec({"image": "cart:1"} | spec), ClusterFeatures())
    return {manifest["kind"]: manifest for manifest in manifests}


def names(manifests: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]


def container(**spec: Any) -> dict[str, Any]:
    found: dict[str, Any] = made(**spec)["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    return found


def env(**spec: Any) -> dict[str, Any]:
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container(**spec)["env"]}


def test_an_image_alone_makes_three_children_and_with_a_host_it_is_exposed() -> None:
    assert list(made()) == ["Deployment", "Service", "PodDisruptionBudget"]
    assert list(made(ingress={"host": "a.io"})) == ["Deployment", "Service", "Ingress", "PodDisruptionBudget"]


def test_every_child_is_named_labelled_and_owned() -> None:
    for manifest in made(ingress={"host": "a.io"}).values():
        metadata = manifest["metadata"]
        assert (metadata["namespace"], metadata["name"]) == KEY
        assert metadata["labels"] == {
            "app.kubernetes.io/name": "cart",
            "app.kubernetes.io/managed-by": "scalableapp-operator",
            "scalableapp.io/app": "cart",
        }
        assert owned_by(manifest, "uid-1")
        assert not owned_by(manifest, "uid-2")


@pytest.mark.parametrize("pin", [None, 0, 3], ids=["unpinned", "pinned to none", "pinned"])
def test_the_deployment_never_says_how_many_replicas(pin: int | None) -> None:
    assert "replicas" not in made(replicas=pin)["Deployment"]["spec"]


def test_the_service_and_the_budget_and_the_deployment_select_the_pods() -> None:
    manifests = made()
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        manifests["Deployment"]["spec"]["selector"]["matchLabels"],
        manifests["Service"]["spec"]["selector"],
        manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels.items()


def test_pods_meet_the_restricted_pod_security_standard() -> None:
    pod = made()["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod["automountServiceAccountToken"] is False


def test_a_rollout_never_takes_a_pod_away_before_its_successor_serves() -> None:
    assert made()["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": "25%"}


def test_the_grace_period_is_longer_than_the_pre_stop_sleep_and_gunicorns_drain() -> None:
    assert made()["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 5 + 30


def test_pods_wait_before_they_stop_without_a_program_in_the_image() -> None:
    assert container()["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}


def test_the_container_gets_the_port_and_the_probes_ask_there() -> None:
    app = container(port=9000, health={"livenessPath": "/live", "readinessPath": "/ready"})
    assert app["ports"] == [{"name": "http", "containerPort": 9000, "protocol": "TCP"}]
    assert app["startupProbe"]["httpGet"] == app["livenessProbe"]["httpGet"] == asked("/live")
    assert app["readinessProbe"]["httpGet"] == asked("/ready")


def asked(path: str) -> dict[str, Any]:
    return {"path": path, "port": "http", "scheme": "HTTP"}


def test_the_app_learns_its_cache_its_port_and_its_name() -> None:
    assert env(port=9000, cache={"backend": "None", "timeoutSeconds": 5}) == {
        "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "POD_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "PORT": "9000",
        "CACHE_BACKEND": "None",
        "CACHE_TIMEOUT_SECONDS": "5",
    }


def test_the_users_variable_wins_over_ours_and_stands_once() -> None:
    names = [variable["name"] for variable in container(env=[{"name": "PORT", "value": "1"}])["env"]]
    assert names.count("PORT") == 1
    assert env(env=[{"name": "PORT", "value": "1"}])["PORT"] == "1"


def test_the_users_variables_come_last_so_that_they_may_refer_to_ours() -> None:
    assert container(env=[{"name": "ME", "value": "$(POD_NAME)"}])["env"][-1]["name"] == "ME"


def test_an_empty_variable_is_written_as_the_api_server_keeps_it() -> None:
    assert container(env=[{"name": "EMPTY", "value": ""}])["env"][-1] == {"name": "EMPTY"}


def test_command_and_args_stand_only_when_given() -> None:
    assert not {"command", "args", "envFrom"} & container().keys()
    assert container(command=["run"], args=["--fast"])["args"] == ["--fast"]


def test_resources_are_written_as_the_api_server_writes_them_back() -> None:
    resources = {"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {"cpu": "2000m"}}
    assert container(resources=resources)["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": "2"},
    }


def test_prometheus_finds_the_pods_by_annotation() -> None:
    pod = made(port=9000, monitoring={"path": "/m"})["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert {k: v for k, v in pod.items() if k.startswith("prometheus.io")} == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9000",
        "prometheus.io/path": "/m",
    }


def test_without_scraping_there_are_no_prometheus_annotations() -> None:
    pod = made(monitoring={"scrape": False})["Deployment"]["spec"]["template"]["metadata"]
    assert "prometheus" not in str(pod)


def test_the_ingress_has_host_path_class_and_tls() -> None:
    ingress = {"host": "a.example.com", "path": "/x", "className": "contour", "tlsSecretName": "cert"}
    spec = made(ingress=ingress)["Ingress"]["spec"]
    assert spec["ingressClassName"] == "contour"
    assert spec["tls"] == [{"secretName": "cert", "hosts": ["a.example.com"]}]
    assert spec["rules"][0]["host"] == "a.example.com"
    path = spec["rules"][0]["http"]["paths"][0]
    assert (path["path"], path["pathType"]) == ("/x", "Prefix")
    assert path["backend"] == {"service": {"name": "cart", "port": {"name": "http"}}}


def test_an_ingress_with_a_host_alone_leaves_class_and_tls_to_the_cluster() -> None:
    spec = made(ingress={"host": "a.io"})["Ingress"]["spec"]
    assert (spec.keys(), spec["rules"][0]["host"]) == ({"rules"}, "a.io")


def test_an_ingress_takes_every_host_only_when_that_is_what_is_written() -> None:
    spec = made(ingress={"host": "*", "tlsSecretName": "cert"})["Ingress"]["spec"]
    assert "host" not in spec["rules"][0]
    assert spec["tls"] == [{"secretName": "cert"}]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nothing said"),
        pytest.param({"ingress": {}}, id="stored with its defaults"),
        pytest.param({"ingress": {"enabled": True, "path": "/", "className": "contour"}}, id="no host"),
        pytest.param({"ingress": {"enabled": False, "host": "a.io"}}, id="switched off"),
    ],
)
def test_without_a_host_or_switched_off_an_ingress_is_unwanted_and_not_made(fields: dict[str, Any]) -> None:
    assert "Ingress" not in made(**fields)
    assert ("Ingress", "cart") in names(unwanted(KEY, parse_spec({"image": "a"} | fields)))


def test_an_ingress_with_a_host_is_not_unwanted() -> None:
    assert "Ingress" not in dict(names(unwanted(KEY, parse_spec({"image": "a", "ingress": {"host": "a.io"}}))))


@pytest.mark.parametrize(
    ("ingress", "live", "url"),
    [
        pytest.param({"host": "a.io"}, None, "http://a.io/", id="host"),
        pytest.param({"host": "a.io", "tlsSecretName": "s", "path": "/x"}, None, "https://a.io/x", id="TLS and path"),
        pytest.param({"host": "*"}, [{"ip": "10.0.0.1"}], "http://10.0.0.1/", id="the load balancer's address"),
        pytest.param({"host": "*"}, [{"hostname": "lb.io", "ip": "10.0.0.1"}], "http://lb.io/", id="its name first"),
        pytest.param({"host": "*"}, [], "", id="no address yet"),
        pytest.param({"host": "*"}, None, "", id="no ingress yet"),
        pytest.param({}, [{"ip": "10.0.0.1"}], "", id="no host"),
        pytest.param({"enabled": False, "host": "a.io"}, None, "", id="no ingress wanted"),
    ],
)
def test_the_url_is_where_the_app_answers(ingress: dict[str, Any], live: list[Any] | None, url: str) -> None:
    status = {} if live is None else {"loadBalancer": {"ingress": live}}
    assert url_of(KEY, parse_spec({"image": "a", "ingress": ingress}).entry_point, status) == url


@pytest.mark.parametrize("name", ["a", "cart", "cart-2", "a" * 63], ids=["one letter", "word", "digit", "63 letters"])
def test_a_name_that_a_service_can_bear_is_fine(name: str) -> None:
    assert name_problem(AppKey("shop", name)) is None


@pytest.mark.parametrize("name", ["a" * 64, "2cart", "my.cart", "cart-", "Cart", ""], ids=str)
def test_a_name_that_no_service_can_bear_is_a_problem_with_a_fix(name: str) -> None:
    problem = name_problem(AppKey("shop", name))
    assert problem is not None
    assert problem.field == "metadata.name"
    assert "63" in problem.fix


def test_a_changed_spec_changes_the_seal_and_so_is_drift() -> None:
    with_variable = made(env=[{"name": "A", "value": "1"}])["Deployment"]
    assert not in_sync(with_variable, made()["Deployment"])


def test_the_same_spec_makes_the_same_manifests() -> None:
    assert made() == made()


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1", "1"),
        ("1.5", "1500m"),
        ("100u", "1m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("128000Ki", "125Mi"),
        ("1000M", "1G"),
        ("128974848", "128974848"),
        ("1e3", "1k"),
        ("0.5Ki", "512"),
        ("0", "0"),
    ],
    ids=str,
)
def test_a_quantity_is_canonical(written: str, kept: str) -> None:
    assert canonical_quantity(written) == kept


@given(
    st.decimals(min_value=Decimal("0.001"), max_value=10**9, places=3),
    st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi"]),
)
def test_canonical_form_is_stable_and_never_less_than_what_was_written(number: Decimal, suffix: str) -> None:
    text = f"{number}{suffix}"
    kept = canonical_quantity(text)
    assert canonical_quantity(kept) == kept
    assert parse_quantity(kept) >= parse_quantity(text) * (1 - 1e-12)
    assert parse_quantity(kept) <= parse_quantity(text) * (1 + 1e-12) + 1


@pytest.mark.parametrize(
    ("stated", "pod_level", "read_only"),
    [
        pytest.param({}, {}, True, id="the image's own user"),
        pytest.param({"runAsUser": 1000}, {"runAsUser": 1000}, True, id="a user whom the image names or not at all"),
        pytest.param(
            {"runAsUser": 1000, "runAsGroup": 0, "fsGroup": 2000, "readOnlyRootFilesystem": False},
            {"runAsUser": 1000, "runAsGroup": 0, "fsGroup": 2000, "fsGroupChangePolicy": "OnRootMismatch"},
            False,
            id="all of it",
        ),
    ],
)
def test_who_runs_the_app_is_as_stated_and_never_root(
    stated: dict[str, Any], pod_level: dict[str, Any], read_only: bool
) -> None:
    spec = parse_spec({"image": "a", "securityContext": stated})
    pod = children(KEY, "uid", spec, ClusterFeatures())[0]["spec"]["template"]["spec"]
    always = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["securityContext"] == always | pod_level
    container = pod["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is read_only
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("stated", [{"runAsUser": 0}, {"runAsUser": 2**31}, {"fsGroup": -1}, {"privileged": True}])
def test_nobody_gets_more_than_the_restricted_standard_allows(stated: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"spec\.securityContext"):
        parse_spec({"image": "a", "securityContext": stated})


def test_the_budget_lets_pods_go_that_serve_nobody() -> None:
    budget = next(
        child
        for child in children(KEY, "uid", parse_spec({"image": "a"}), ClusterFeatures())
        if child["kind"] == "PodDisruptionBudget"
    )
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_pods_are_spread_over_nodes_alone_each_revision_for_itself() -> None:
    pod = children(KEY, "uid", parse_spec({"image": "a"}), ClusterFeatures())[0]["spec"]["template"]["spec"]
    spread = pod["topologySpreadConstraints"]
    assert [entry["topologyKey"] for entry in spread] == ["kubernetes.io/hostname"]
    assert all(entry["matchLabelKeys"] == ["pod-template-hash"] for entry in spread)


def test_no_line_of_an_apps_log_becomes_its_termination_message_which_the_status_shows() -> None:
    pod = children(KEY, "uid", parse_spec({"image": "a"}), ClusterFeatures())[0]["spec"]["template"]["spec"]
    assert pod["containers"][0].get("terminationMessagePolicy", "File") == "File"


@pytest.mark.parametrize("field", ["minReplicas", "maxReplicas"])
def test_large_apps_have_as_many_replicas_as_they_need(field: str) -> None:
    bounds = {"maxReplicas": 100_000, field: 100_000}
    assert parse_spec({"image": "a", "replicas": 100_000, "scaling": {"horizontal": bounds}})
    with pytest.raises(SpecError, match=rf"{field}.*100000"):
        parse_spec({"image": "a", "scaling": {"horizontal": {field: 100_001}}})
