"""Everything that is applied, against a real API server. Server-side dry runs: nothing is created."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.shop import kubectl
from tests.rendering import MANIFESTS, ROOT, SYSTEM, Manifest, charted, kustomized, program

pytestmark = pytest.mark.cluster

OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
CEL_SINCE = 29


def minor() -> int:
    return int(json.loads(kubectl("version", "-o", "json"))["serverVersion"]["minor"].rstrip("+"))


def accepted(objects: list[Manifest]) -> None:
    """All of them, in namespaces that are there; CEL only where the cluster knows it."""
    there = kubectl("get", "namespaces", "-o", "name").split()
    for found in objects:
        metadata: dict[str, Any] = found["metadata"]
        if "namespace" in metadata and f"namespace/{metadata['namespace']}" not in there:
            metadata["namespace"] = "default"
    without_cel = minor() < CEL_SINCE
    crds = [found for found in objects if found["kind"] == "CustomResourceDefinition"]
    others = [found for found in objects if found not in crds]
    apply = ("apply", "--dry-run=server", "-f", "-", "-o", "name")
    kubectl(*apply, f"--validate={str(not without_cel).lower()}", text=yaml.safe_dump_all(crds))
    assert len(kubectl(*apply, text=yaml.safe_dump_all(others)).split()) == len(others)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_complete_and_accepted(overlay: str, operator: str) -> None:
    objects = kustomized(MANIFESTS / "overlays" / overlay)
    assert {"Namespace", "CustomResourceDefinition", "ClusterRole", "Deployment"} <= {it["kind"] for it in objects}
    accepted(objects)


def test_what_the_chart_makes_is_accepted(operator: str) -> None:
    accepted(charted({"networkPolicy": {"enabled": True}, "namespaces": ["default", SYSTEM]}))


def test_the_one_file_to_install_from_is_accepted(operator: str, tmp_path: Path) -> None:
    program("helm")
    subprocess.run(["make", "dist", f"DIST={tmp_path}"], cwd=ROOT, capture_output=True, timeout=300, check=True)
    kubectl("apply", "--dry-run=server", "--validate=false", "-f", str(tmp_path / "install.yaml"))
