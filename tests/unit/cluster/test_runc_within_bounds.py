import json
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cluster.settings import REPOSITORY


@pytest.fixture(scope="module")
def shim() -> ModuleType:
    path = REPOSITORY / "cluster/node-image/runc-within-bounds"
    spec = spec_from_loader("runc_within_bounds", SourceFileLoader("runc_within_bounds", str(path)))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def process(score: int | None = None) -> dict[str, Any]:
    return {"capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "ambient": None}, "oomScoreAdj": score}


def test_a_capability_that_the_machine_lacks_is_not_asked_for(shim: ModuleType) -> None:
    asked = process()
    shim.within_bounds(asked, {"CAP_CHOWN"})
    assert asked["capabilities"] == {"bounding": ["CAP_CHOWN"], "ambient": []}


@pytest.mark.parametrize(
    ("available", "score", "expected"),
    [
        pytest.param({"CAP_CHOWN"}, -999, 0, id="lowering is not allowed here"),
        pytest.param({"CAP_CHOWN"}, 500, 500, id="raising always is"),
        pytest.param({"CAP_CHOWN"}, None, None, id="nothing asked"),
        pytest.param({"CAP_SYS_RESOURCE"}, -999, -999, id="lowering is allowed here"),
    ],
)
def test_the_oom_score_is_only_lowered_where_that_is_allowed(
    shim: ModuleType, available: set[str], score: int | None, expected: int | None
) -> None:
    asked = process(score)
    shim.within_bounds(asked, available)
    assert asked["oomScoreAdj"] == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["create", "--bundle", "/b", "id"], "/b"),
        (["create", "-b", "/b", "id"], "/b"),
        (["create", "--bundle=/b", "id"], "/b"),
        (["create", "id"], None),
    ],
    ids=["long", "short", "with equals", "absent"],
)
def test_the_bundle_is_found_however_it_is_given(shim: ModuleType, arguments: list[str], expected: str | None) -> None:
    assert shim.option(arguments, "--bundle", "-b") == expected


def test_a_bundle_is_edited_and_runc_takes_over_with_the_same_arguments(
    shim: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(shim, "bounding_set", lambda: {"CAP_CHOWN"})
    monkeypatch.setattr(shim.os, "execvp", lambda _, arguments: calls.append(arguments))
    (tmp_path / "config.json").write_text(json.dumps({"process": process(-10), "hostname": "kept"}))

    shim.main(["create", "--bundle", str(tmp_path), "id"])

    edited = json.loads((tmp_path / "config.json").read_text())
    assert edited["process"]["capabilities"]["bounding"] == ["CAP_CHOWN"]
    assert edited["hostname"] == "kept"
    assert calls == [["runc", "create", "--bundle", str(tmp_path), "id"]]


def test_every_capability_of_this_kernel_has_a_name(shim: ModuleType) -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert last < len(shim.CAPABILITIES)
