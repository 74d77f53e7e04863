import urllib.error
from io import BytesIO
from pathlib import Path

import pytest

from cluster import programs
from cluster.console import ClusterError


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OFFLINE", raising=False)


def test_a_download_with_another_checksum_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: BytesIO(b"not kind"))
    with pytest.raises(ClusterError, match="checksum differs"):
        programs._download_kind(tmp_path / "kind")
    assert not list(tmp_path.iterdir())


def test_an_unreachable_download_site_is_no_failure_but_a_reason_for_the_next_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    assert not programs._download_kind(tmp_path / "kind")


def test_offline_no_download_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFLINE", "1")
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("asked the download site"))
    assert not programs._download_kind(tmp_path / "kind")


def test_a_machine_that_kind_has_no_release_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    with pytest.raises(ClusterError, match="s390x"):
        programs.architecture()
