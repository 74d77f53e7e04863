"""Settings from the environment."""

import pytest

from scalableapp.errors import SettingsError
from scalableapp.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SCALABLEAPP_{name.upper()}", raising=False)


def test_defaults_are_promises() -> None:
    settings = load_settings()
    assert {name: str(value) for name, value in settings.model_dump().items()} == {
        "prometheus_url": "http://prometheus.scalableapp-system.svc:9090/",
        "prometheus_config": "None",
        "query_namespace_labels": "('namespace',)",
        "query_scope": "Namespace",
        "interval_seconds": "5.0",
        "namespaces": "()",
        "lease_namespace": "scalableapp-system",
        "metrics_port": "8080",
        "liveness_port": "8081",
        "workers": "8",
        "requests": "auto",
        "redis_image": "redis:8.2.10-alpine",
        "pod_template": "None",
        "log_format": "json",
        "log_level": "INFO",
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [("", ()), ("shop", ("shop",)), ("shop, api ,", ("shop", "api"))],
    ids=["none", "one", "several with blanks"],
)
def test_namespaces_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SCALABLEAPP_NAMESPACES", given)
    assert load_settings().namespaces == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SCALABLEAPP_INTERVAL_SECONDS", "soon"),
        ("SCALABLEAPP_INTERVAL_SECONDS", "0"),
        ("SCALABLEAPP_PROMETHEUS_URL", "prometheus"),
        ("SCALABLEAPP_METRICS_PORT", "70000"),
        ("SCALABLEAPP_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"{variable}='{value}'"):
        load_settings()


@pytest.mark.parametrize(
    ("namespaces", "given", "expected"),
    [("", "", "All"), ("shop", "", "Safe"), ("shop", "All", "All"), ("", "Off", "Off")],
    ids=["everywhere", "in one namespace", "in one namespace by choice", "everywhere by choice"],
)
def test_pods_of_a_few_namespaces_are_safe_unless_stated(
    monkeypatch: pytest.MonkeyPatch, namespaces: str, given: str, expected: str
) -> None:
    monkeypatch.setenv("SCALABLEAPP_NAMESPACES", namespaces)
    if given:
        monkeypatch.setenv("SCALABLEAPP_POD_TEMPLATE", given)
    assert load_settings().pod_policy == expected


def test_settings_do_not_change_while_the_operator_runs() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().workers = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "url",
    [
        "http://admin:S3cret@prometheus:9090",
        "admin:S3cret@prometheus:9090",
        "http://admin:S3cret@prometheus:99999",
        "http://admin:a S3cret@prometheus",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_printed(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SCALABLEAPP_PROMETHEUS_URL", url)
    with pytest.raises(SettingsError, match=r"SCALABLEAPP_PROMETHEUS_URL=.*basic_auth") as error:
        load_settings()
    chain: BaseException | None = error.value
    while chain is not None:
        assert "S3cret" not in f"{chain} {chain!r}"
        chain = chain.__cause__ or chain.__context__


@pytest.mark.parametrize(
    "url", ["http://prometheus:9090/prom?dedup=true", "http://[fd00::1]:9090/", "https://metrics.example.com/a/b/"]
)
def test_the_parts_of_an_address_are_kept(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SCALABLEAPP_PROMETHEUS_URL", url)
    assert str(load_settings().prometheus_url) == url
