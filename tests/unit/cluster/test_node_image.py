from pathlib import Path

import pytest

from cluster import docker, fingerprint, gobuild, images, modules, node_image
from cluster.console import ClusterError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM debian\n")
    monkeypatch.setattr(node_image, "_FOLDER", tmp_path)
    return tmp_path


def test_the_same_content_gives_the_same_image_name(folder: Path) -> None:
    assert node_image.built_name() == node_image.built_name()
    assert node_image.is_built(node_image.built_name())


def test_the_name_says_which_kubernetes_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES", "1.34.4")
    assert node_image.built_name().startswith("scalableapp-node:v1.34.4-")


def test_a_changed_file_gives_another_image_name(folder: Path) -> None:
    before = node_image.built_name()
    (folder / "Dockerfile").write_text("FROM other\n")
    assert node_image.built_name() != before


def test_a_changed_program_gives_another_image_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = node_image.built_name()
    monkeypatch.setattr(gobuild, "folder", lambda group: folder / f"{group}-changed")
    assert node_image.built_name() != before


def test_a_changed_part_gives_another_image_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = node_image.built_name()
    monkeypatch.setattr(images, "PARTS", images.PARTS[1:])
    assert node_image.built_name() != before


def test_a_program_that_loses_its_execute_bit_gives_another_fingerprint(tmp_path: Path) -> None:
    program = tmp_path / "entrypoint"
    program.touch(mode=0o755)
    before = fingerprint.of(tmp_path)
    program.chmod(0o644)
    assert fingerprint.of(tmp_path) != before


def test_compiled_python_does_not_change_the_fingerprint(tmp_path: Path) -> None:
    before = fingerprint.of(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").touch()
    assert fingerprint.of(tmp_path) == before


def test_upstreams_image_is_not_taken_for_ours() -> None:
    assert not node_image.is_built(node_image.upstream())


LISTED = """\
registry.k8s.io/kube-apiserver:v1.37.2
registry.k8s.io/kube-controller-manager:v1.37.2
registry.k8s.io/kube-scheduler:v1.37.2
registry.k8s.io/kube-proxy:v1.37.2
registry.k8s.io/coredns/coredns:v1.14.6
registry.k8s.io/pause:3.10.2
registry.k8s.io/etcd:3.7.0-0
"""


def test_the_control_planes_images_have_the_names_that_kubeadm_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_image, "run", lambda *_: LISTED)
    names = node_image.control_plane_names()
    assert names["coredns"] == "registry.k8s.io/coredns/coredns:v1.14.6"
    assert names["etcd"] == "registry.k8s.io/etcd:3.7.0-0"
    assert names["kube-proxy"] == "registry.k8s.io/kube-proxy:v1.37.2"


def test_an_image_that_only_kubeadm_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_image, "run", lambda *_: f"{LISTED}registry.k8s.io/konnectivity:v1\n")
    with pytest.raises(ClusterError, match=f"kubeadm {modules.kubernetes()}.*konnectivity"):
        node_image.control_plane_names()


@pytest.mark.parametrize(
    ("world", "built"),
    [
        pytest.param({"registry": True}, False, id="a registry answers"),
        pytest.param({"in_cache": True}, False, id="pulled before, no registry now"),
        pytest.param({}, True, id="no registry"),
        pytest.param({"cgroup_v1": True, "in_cache": True, "registry": True}, True, id="cgroup v1"),
        pytest.param({"other": True, "in_cache": True, "registry": True}, True, id="another Kubernetes is asked for"),
    ],
)
def test_the_image_is_built_only_where_upstreams_cannot_serve(
    monkeypatch: pytest.MonkeyPatch, world: dict[str, bool], built: bool
) -> None:
    monkeypatch.setenv("KUBERNETES", "1.34.4" if "other" in world else "")
    monkeypatch.setattr(node_image, "_runs_cgroup_v2", lambda: "cgroup_v1" not in world)
    monkeypatch.setattr(docker, "has_image", lambda _: "in_cache" in world)
    monkeypatch.setattr(docker, "registry_answers", lambda: "registry" in world)
    assert node_image.must_be_built() is built
