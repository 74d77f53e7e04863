import hashlib
import io
import urllib.error
import urllib.request
from typing import Any

import pytest
import yaml

from cluster import custom_resources
from cluster.console import ClusterError
from cluster.custom_resources import SOURCES, Source

CONTENT = b"kind: CustomResourceDefinition\nmetadata:\n  name: a.example.com\n---\nmetadata:\n  name: b.example.com\n"
GATEWAY_API = "sigs.k8s.io/gateway-api"


def source(*names: str, sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> Source:
    return Source(GATEWAY_API, "kubernetes-sigs/gateway-api", "crds.yaml", sha256, names)


@pytest.fixture
def without_go(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine where the `go` command is not there, and a site that serves CONTENT; the list gets the addresses."""
    asked: list[str] = []

    def urlopen(url: str, **_: Any) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(CONTENT)

    def run(*_: str, **__: Any) -> str:
        raise ClusterError("`go` is not installed; install it, then try again.")

    monkeypatch.delenv("OFFLINE", raising=False)
    monkeypatch.setattr(custom_resources, "run", run)
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return asked


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.path)
def test_the_pins_are_the_sums_of_the_modules_files(source: Source) -> None:
    content = custom_resources.from_module(source)
    if content is None:
        pytest.skip("needs Go 1.26 and its module proxy")
    assert hashlib.sha256(content).hexdigest() == source.sha256


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.path)
def test_what_is_taken_are_the_definitions_that_are_named(source: Source) -> None:
    if custom_resources.from_module(source) is None:
        pytest.skip("needs Go 1.26 and its module proxy")
    found = list(yaml.safe_load_all(custom_resources.definitions(source)))
    assert tuple(each["metadata"]["name"] for each in found) == source.names
    assert {each["kind"] for each in found} == {"CustomResourceDefinition"}


def test_without_go_the_same_version_of_the_same_file_is_downloaded(without_go: list[str]) -> None:
    wanted = source("b.example.com")
    assert "b.example.com" in custom_resources.definitions(wanted)
    assert "a.example.com" not in custom_resources.definitions(wanted)
    url = f"https://raw.githubusercontent.com/kubernetes-sigs/gateway-api/{wanted.version}/crds.yaml"
    assert set(without_go) == {url}


def test_a_file_with_another_sum_is_refused(without_go: list[str]) -> None:
    with pytest.raises(ClusterError, match=r"crds\.yaml of sigs\.k8s\.io/gateway-api v\S+ is not the expected one"):
        custom_resources.text(source(sha256="0" * 64))


def test_without_go_and_offline_the_message_names_both_ways(
    without_go: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFLINE", "1")
    with pytest.raises(ClusterError, match=r"install Go 1\.26, or run without OFFLINE=1"):
        custom_resources.text(source())
    assert without_go == []


def test_a_site_that_does_not_answer_is_named(without_go: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    with pytest.raises(ClusterError, match=r"cannot be downloaded .*no route to host.*; install Go 1\.26"):
        custom_resources.text(source())
