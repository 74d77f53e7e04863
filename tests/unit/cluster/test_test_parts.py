"""What only the tests' cluster has is brought up, with images of our own only where no registry serves them."""

from typing import Any

import pytest
import yaml

from cluster import bases, docker, images, test_parts
from cluster.settings import REPOSITORY

FOLDER = REPOSITORY / "tests" / "cluster" / "parts"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done, in order; nothing is built or applied anywhere."""
    done: list[str] = []

    def built(wanted: tuple[images.Image, ...]) -> dict[str, str]:
        done.append("build")
        return {image.reference: "sha256:1" for image in wanted}

    def loaded(wanted: dict[str, str], **_: Any) -> list[str]:
        done.append(f"load {len(wanted)}")
        return list(wanted)

    def kubectl(*arguments: str, **_: Any) -> str:
        done.append(next(word for word in arguments if word in ("apply", "rollout", "wait")))
        return ""

    monkeypatch.setattr(bases, "ensure", lambda *_: None)
    monkeypatch.setattr(images, "build", built)
    monkeypatch.setattr(images, "load", loaded)
    monkeypatch.setattr(test_parts, "kubectl", kubectl)
    return done


@pytest.mark.parametrize(
    ("registry", "before"),
    [pytest.param(True, [], id="pulled"), pytest.param(False, ["build", "load 2"], id="built here")],
)
def test_parts_are_applied_and_waited_for(
    registry: bool, before: list[str], steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "registry_answers", lambda: registry)
    test_parts.ensure()
    assert steps == [*before, "apply", "rollout", "rollout", "wait"]


def test_the_manifests_run_the_images_that_are_built() -> None:
    documents = [it for file in FOLDER.glob("*.yaml") for it in yaml.safe_load_all(file.read_text())]
    pods = [it["spec"]["template"]["spec"] for it in documents if it["kind"] in ("DaemonSet", "Deployment")]
    named = {container["image"].removeprefix("docker.io/") for pod in pods for container in pod["containers"]}
    assert named == {image.reference for image in test_parts.IMAGES}
    assert all((REPOSITORY / image.dockerfile).is_file() for image in test_parts.IMAGES)
