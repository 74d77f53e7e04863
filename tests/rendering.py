"""Manifests as users get them: rendered by the real kustomize and the real Helm."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

Manifest = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
MANIFESTS = ROOT / "manifests"
CHART = ROOT / "charts" / "scalableapp"
SYSTEM = "scalableapp-system"
_PINNED = ROOT / ".venv" / "tools"


def program(name: str) -> str:
    """Path of the pinned program, else of that on PATH; a test without one is skipped."""
    found = shutil.which(name, path=str(_PINNED)) or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not here; make manifest-tools")
    return found


@cache
def rendered(*command: str, text: str | None = None) -> str:
    """As `output`, once for each command and session: for what renders files that do not change."""
    return output(*command, text=text)


def output(*command: str, text: str | None = None) -> str:
    """What a command prints; AssertionError with its complaint when it fails."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def kustomized(folder: Path) -> list[Manifest]:
    """What `kubectl apply -k` would apply."""
    return _documents(rendered(program("kubectl"), "kustomize", str(folder)))


def combined(folder: Path, resource: str, *components: str) -> list[Manifest]:
    """A kustomization of a user's own, made in `folder`: a resource and components, by their place in manifests/."""
    kustomization = {
        "resources": [os.path.relpath(MANIFESTS / resource, folder.resolve())],
        "components": [os.path.relpath(MANIFESTS / "components" / name, folder.resolve()) for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return kustomized(folder)


def charted(values: Manifest, chart: Path = CHART) -> list[Manifest]:
    """What `helm install` would create with these values in the operator's usual namespace."""
    return _documents(helm("template", values, chart))


def helm(verb: str, values: Manifest, chart: Path = CHART, *arguments: str) -> str:
    """Output of helm with a chart and values."""
    command = [program("helm"), verb, "scalableapp", str(chart), "--namespace", SYSTEM, "--values", "-", *arguments]
    return rendered(*command, text=yaml.safe_dump(values))


def named(objects: list[Manifest]) -> dict[str, Manifest]:
    """Objects by kind, namespace and name; where order says nothing, it is taken away."""
    for found in objects:
        for container in pod_of(found).get("containers", ()):
            container.get("env", []).sort(key=lambda variable: str(variable["name"]))
    return {
        f"{found['kind']} {found['metadata'].get('namespace', '')}/{found['metadata']['name']}": found
        for found in objects
    }


def pod_of(manifest: Manifest) -> Manifest:
    """The spec of the pods that an object makes or is; empty when it makes none."""
    spec: Manifest = manifest.get("spec") or {}
    if manifest["kind"] == "Pod":
        return spec
    job: Manifest = spec.get("jobTemplate", {}).get("spec", spec)
    template = job.get("template") if manifest["apiVersion"] in ("apps/v1", "batch/v1") else None
    return dict(template["spec"]) if template else {}


def _documents(text: str) -> list[Manifest]:
    # The loader in C takes a tenth of the time.
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]
