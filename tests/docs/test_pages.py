"""Links lead somewhere, and what is shown as a manifest is one."""

from pathlib import Path

import pytest
import yaml

from scalableapp.core.api.spec import parse_spec
from tests.docs.pages import ROOT, Block, anchors, blocks, is_app, links, pages

OUTSIDE = ("http://", "https://", "mailto:")


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    assert [problem for address in links(page) if (problem := _broken(page, address))] == []


def _broken(page: Path, address: str) -> str:
    if address.startswith(OUTSIDE):
        return ""
    file, _, anchor = address.partition("#")
    target = (page.parent / file).resolve() if file else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return f"{address}: no such file"
    if anchor and target.suffix == ".md" and anchor not in anchors(target):
        return f"{address}: no such heading"
    return ""


def _in(*languages: str) -> list[Block]:
    return [block for block in blocks() if block.language in languages]


@pytest.mark.parametrize("block", _in("yaml", "yml"), ids=lambda block: block.place)
def test_yaml_can_be_read_and_each_scalableapp_in_it_is_valid(block: Block) -> None:
    for document in yaml.safe_load_all(block.text):
        if is_app(document):
            parse_spec(document["spec"])


def test_the_first_app_of_the_readme_is_the_example_that_is_applied_and_the_other_is_valid() -> None:
    first, existing = [yaml.safe_load(block.text) for block in _in("yaml") if block.page.name == "README.md"]
    assert first == yaml.safe_load((ROOT / "docs/examples/shop.yaml").read_text())
    parse_spec(existing["spec"])


def test_a_heading_is_found_by_its_anchor_as_github_writes_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('# `Ready` is False: why?\n\n## Same\n\n## Same\n\n<a id="here"></a>\n')
    assert anchors(page) == {"ready-is-false-why", "same", "same-1", "here"}
