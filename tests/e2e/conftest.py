"""The sample app in a namespace of its own, ready for real load."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from cluster.kube import kubectl
from demo import prepare
from demo.run import App

SAMPLE = prepare.REPOSITORY / "manifests" / "samples" / "sample-app.yaml"


@pytest.fixture
def app(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[App]:
    """The sample app under a name, a namespace and a host of its own, at its start.

    A parameter takes the place of its spec.scaling.horizontal.
    """
    namespace = f"e2e-{uuid4().hex[:8]}"
    content = yaml.safe_load(SAMPLE.read_text())
    content["metadata"] = {"name": "scaled", "namespace": namespace}
    content["spec"]["ingress"]["host"] = f"{namespace}.test"
    if hasattr(request, "param"):
        content["spec"]["scaling"]["horizontal"] = request.param
    manifest = tmp_path / "app.yaml"
    manifest.write_text(yaml.safe_dump(content))
    prepare.operator_up()
    kubectl("create", "namespace", namespace)
    try:
        yield prepare.app_up(manifest)
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")
