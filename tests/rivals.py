"""The CRDs of other autoscalers and of Argo Rollouts, as their own releases have them: from Go modules, by checksum."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml


class Release(NamedTuple):
    """A Go module, its version and checksum as a go.sum has them, and the file with its CRDs."""

    module: str
    checksum: str
    file: str


KEDA = Release(
    "github.com/kedacore/keda/v2@v2.21.0",
    "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
    "config/crd/bases/keda.sh_scaledobjects.yaml",
)
VPA = Release(
    "k8s.io/autoscaler/vertical-pod-autoscaler@v1.8.1",
    "h1:Pe8bV1wozN4gOKO1rleiIY5alIyAXN+DnXDbXQcL4fI=",
    "deploy/vpa-v1-crd-gen.yaml",
)
ARGO_ROLLOUTS = Release(
    "github.com/argoproj/argo-rollouts@v1.10.1",
    "h1:6oyVPGiHHxu3ixkT6mngemh88HLPDoTX1IwO6KNR1Y4=",
    "manifests/crds/rollout-crd.yaml",
)


def crds(release: Release) -> list[dict[str, Any]]:
    """The CRDs of a release. The test is skipped where Go or its proxy is missing, and fails in CI."""
    try:
        done = subprocess.run(
            ["go", "mod", "download", "-json", release.module],
            check=True,
            capture_output=True,
            timeout=300,
            cwd="/",
            env={**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"},
        )
    except (OSError, subprocess.SubprocessError) as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {release.module}: {error}")
    found = json.loads(done.stdout)
    assert found["Sum"] == release.checksum
    documents = yaml.safe_load_all((Path(found["Dir"]) / release.file).read_text())
    return [document for document in documents if document and document["kind"] == "CustomResourceDefinition"]
