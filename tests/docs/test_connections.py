"""The connections on the page about Prometheus are ones that the operator accepts."""

from pathlib import Path

import pytest
import yaml

from scalableapp.adapters.prometheus_file import ConnectionFile
from tests.docs.pages import ROOT, Block, blocks

PAGE = ROOT / "docs" / "prometheus.md"
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path


def connections() -> list[Block]:
    found = [block for block in blocks() if block.page == PAGE and block.language == "yaml"]
    return [block for block in found if "kustomize" not in block.text]


@pytest.mark.parametrize("block", connections(), ids=lambda block: block.place)
def test_each_connection_is_accepted(block: Block, tmp_path: Path) -> None:
    for name in ("password", "ca.crt", "service-ca.crt", "token"):
        (tmp_path / name).write_text("x")
    file = tmp_path / "prometheus.yaml"
    file.write_text(block.text.replace(TOKEN, "token"))
    assert ConnectionFile(file).now().url == yaml.safe_load(block.text)["url"]
