from pathlib import Path

import pytest

from cluster import images
from cluster.console import ClusterError
from cluster.settings import REPOSITORY

HELD = {"app:1": "sha256:a", "operator:1": "sha256:b"}


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A node that holds HELD; the list gets what is loaded into it."""
    loaded: list[str] = []
    monkeypatch.setattr(images, "_loaded", lambda: HELD)
    monkeypatch.setattr(images, "_remember", lambda _: None)
    monkeypatch.setattr(images, "load_into", lambda _, references: loaded.extend(references))
    return loaded


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(HELD, [], id="all there"),
        pytest.param({**HELD, "app:1": "sha256:new"}, ["app:1"], id="one changed"),
        pytest.param({**HELD, "ingress:1": "sha256:c"}, ["ingress:1"], id="one is new"),
    ],
)
def test_only_what_the_node_lacks_is_loaded(node: list[str], wanted: dict[str, str], expected: list[str]) -> None:
    assert images.load(wanted) == expected
    assert node == expected


def test_a_missing_dockerfile_is_named_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "REPOSITORY", tmp_path)
    with pytest.raises(ClusterError, match=r"sample-app/Dockerfile is missing, from which sample-app:0\.1\.0 is built"):
        images.build()


@pytest.mark.parametrize("image", images.IMAGES, ids=lambda image: image.reference)
def test_every_image_has_its_dockerfile_in_this_repository(image: images.Image) -> None:
    assert (REPOSITORY / image.dockerfile).is_file()
    assert (REPOSITORY / image.context).is_dir()
