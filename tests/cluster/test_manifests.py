"""Everything that is applied, against a real API server. Server-side dry runs: nothing is created."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.shop import kubectl
from tests.rendering import MANIFESTS, ROOT, SYSTEM, Manifest, charted, kustomized, program

pytestmark = pytest.mark.cluster

OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
CHART_VALUES: dict[str, Manifest] = {
    "by default": {},
    "for a few namespaces": {"namespaces": ["default", SYSTEM]},
    "without policies": {"networkPolicy": {"enabled": False}, "admissionPolicy": {"create": False}},
}


def accepted(objects: list[Manifest]) -> None:
    """All of them, in namespaces that are there."""
    there = kubectl("get", "namespaces", "-o", "name").split()
    for found in objects:
        metadata: dict[str, Any] = found["metadata"]
        if "namespace" in metadata and f"namespace/{metadata['namespace']}" not in there:
            metadata["namespace"] = "default"
    text = yaml.safe_dump_all(objects)
    assert len(kubectl("apply", "--dry-run=server", "-f", "-", "-o", "name", text=text).split()) == len(objects)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_complete_and_accepted(overlay: str) -> None:
    objects = kustomized(MANIFESTS / "overlays" / overlay)
    assert {"Namespace", "CustomResourceDefinition", "ClusterRole", "Deployment"} <= {it["kind"] for it in objects}
    accepted(objects)


@pytest.mark.parametrize("values", CHART_VALUES.values(), ids=CHART_VALUES.keys())
def test_what_the_chart_makes_is_accepted(values: Manifest) -> None:
    accepted(charted(values))


def test_the_one_file_to_install_from_is_accepted(tmp_path: Path) -> None:
    program("helm")
    subprocess.run(["make", "dist", f"DIST={tmp_path}"], cwd=ROOT, capture_output=True, timeout=300, check=True)
    accepted([found for found in yaml.safe_load_all((tmp_path / "install.yaml").read_text()) if found])
