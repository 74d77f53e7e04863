from pathlib import Path

import pytest

from cluster import node_image


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("node", "dns"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(f"FROM {name}\n")
    monkeypatch.setattr(node_image, "REPOSITORY", tmp_path)
    monkeypatch.setattr(node_image, "_FOLDER", tmp_path / "node")
    monkeypatch.setattr(node_image, "_DNS_FOLDER", tmp_path / "dns")
    return tmp_path


def test_the_same_content_gives_the_same_image_name(folder: Path) -> None:
    assert node_image.built_name() == node_image.built_name()
    assert node_image.is_built(node_image.built_name())


@pytest.mark.parametrize("part", ["node", "dns"])
def test_a_changed_file_gives_another_image_name(folder: Path, part: str) -> None:
    before = node_image.built_name()
    (folder / part / "Dockerfile").write_text("FROM other\n")
    assert node_image.built_name() != before


def test_a_program_that_loses_its_execute_bit_gives_another_image_name(folder: Path) -> None:
    program = folder / "node" / "entrypoint"
    program.touch(mode=0o755)
    before = node_image.built_name()
    program.chmod(0o644)
    assert node_image.built_name() != before


def test_compiled_python_does_not_change_the_image_name(folder: Path) -> None:
    before = node_image.built_name()
    (folder / "dns" / "__pycache__").mkdir()
    (folder / "dns" / "__pycache__" / "x.pyc").touch()
    assert node_image.built_name() == before


def test_upstreams_image_is_not_taken_for_ours() -> None:
    assert not node_image.is_built("kindest/node:v1.36.4")
