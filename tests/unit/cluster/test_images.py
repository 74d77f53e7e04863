import re
import subprocess
from pathlib import Path

import pytest

from cluster import contents, images, labels, programs
from cluster.console import ClusterError
from cluster.settings import CONTROL_PLANE, REPOSITORY

PYTHON_IMAGES = [image for image in images.IMAGES if "AS root" in (REPOSITORY / image.dockerfile).read_text()]
HELD = {"app:1": "sha256:a", "operator:1": "sha256:b"}


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A node that holds HELD; the list gets what is loaded into it."""
    loaded: list[str] = []
    monkeypatch.setattr(images, "_loaded", lambda: HELD)
    monkeypatch.setattr(images, "_remember", lambda _: None)
    monkeypatch.setattr(images, "load_into", lambda _, references, _nodes: loaded.extend(references))
    monkeypatch.setattr(images, "_workers", list)
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


@pytest.mark.parametrize(
    ("nodes", "control_plane", "chosen"),
    [
        pytest.param([CONTROL_PLANE, "worker", "worker2"], False, "--nodes worker,worker2", id="workers"),
        pytest.param([CONTROL_PLANE, "worker", "worker2"], True, "", id="all, as asked"),
        pytest.param([CONTROL_PLANE], False, "", id="all, as there is one"),
    ],
)
def test_images_of_apps_go_to_the_nodes_that_run_apps(
    monkeypatch: pytest.MonkeyPatch, nodes: list[str], control_plane: bool, chosen: str
) -> None:
    commands: list[str] = []
    monkeypatch.setattr(programs, "kind", lambda: "kind")
    monkeypatch.setattr(images, "_loaded", dict)
    monkeypatch.setattr(images, "_remember", lambda _: None)
    monkeypatch.setattr(images, "run", lambda *_: "\n".join(nodes))
    monkeypatch.setattr(images, "run_with_progress", lambda _, *command, **__: commands.append(" ".join(command)))
    images.load({"app:1": "sha256:1"}, control_plane=control_plane)
    (command,) = commands
    assert command.partition("scalableapp ")[2].split() == [*chosen.split(), "app:1"]


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


def stage(image: images.Image, name: str) -> str:
    """The lines of a stage, or of the last one, without what installs programs of the image's own."""
    text = (REPOSITORY / image.dockerfile).read_text()
    found = text[text.index(name) :].partition("\nFROM ")[0]
    return re.sub(r"^RUN apt-get.*?\n(?=#)", "", found, flags=re.MULTILINE | re.DOTALL)


def test_all_python_images_share_what_they_stand_on() -> None:
    assert len(PYTHON_IMAGES) == 2
    assert len({stage(image, "AS root\n") for image in PYTHON_IMAGES}) == 1


@pytest.mark.parametrize("image", PYTHON_IMAGES, ids=lambda image: image.reference)
def test_an_image_runs_as_a_number_and_says_what_it_is(image: images.Image) -> None:
    final = stage(image, "FROM scratch\n")
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", final, re.MULTILINE)
    for label in ("title", "description", "licenses"):
        assert f"org.opencontainers.image.{label}=" in final
    assert "\nRUN " not in final


@pytest.mark.parametrize("image", [*images.IMAGES, *images.PARTS], ids=lambda image: image.reference)
def test_what_an_image_is_made_of_is_in_the_repository(image: images.Image) -> None:
    assert all((REPOSITORY / path).exists() for path in image.paths())


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        pytest.param("https://code.example/team/app.git", "https://code.example/team/app", id="plain"),
        pytest.param("https://me:secret@code.example:8443/app", "https://code.example:8443/app", id="with a password"),
        pytest.param("git@code.example:team/app.git", "", id="not to be opened by a browser"),
        pytest.param("/srv/git/app.git", "", id="a folder"),
    ],
)
def test_the_source_label_is_a_public_address_or_nothing(remote: str, address: str) -> None:
    assert labels.public_address(remote) == address


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, timeout=30)


def test_labels_follow_the_commits_that_touch_the_image_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "REPOSITORY", tmp_path)
    for name in ("app", "docs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    git(tmp_path, "init")
    git(tmp_path, "add", "app")
    git(tmp_path, "commit", "-m", "app")
    first = labels.of("app:1.2", ("app",))
    git(tmp_path, "add", "docs")
    git(tmp_path, "commit", "-m", "docs")
    assert labels.of("app:1.2", ("app",)) == first
    assert first["org.opencontainers.image.version"] == "1.2"
    assert re.fullmatch(r"[0-9a-f]{40}", first["org.opencontainers.image.revision"])
    (tmp_path / "app" / "file").write_text("changed")
    revision = first["org.opencontainers.image.revision"]
    assert labels.of("app:1.2", ("app",))["org.opencontainers.image.revision"] == f"{revision}-dirty"


def test_outside_a_checkout_the_version_is_all_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "REPOSITORY", tmp_path)
    assert labels.of("app:1.2", ("app",)) == {"org.opencontainers.image.version": "1.2"}


def test_sizes_are_those_of_the_layers_in_their_order_and_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "run", lambda *_: "0\n1400000\n48100000\n75800000\n")
    monkeypatch.setattr(contents, "compressed_bytes", lambda _: 43_500_000)
    (row,) = images.sizes(["app:1.2"]).splitlines()[1:]
    assert row.split() == ["app:1.2", "125.3", "43.5", "75.8", "+", "48.1", "+", "1.4"]
