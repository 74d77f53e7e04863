"""The documentation as its tests see it: pages, their blocks, their links.

How a block of commands is tried stands behind the language of its fence, where readers do not see it:

    ```console run            in a scratch copy of the repository, without a cluster
    ```console cluster        against the kind cluster; what kubectl would change there is a server's dry run
    ```console run compare    and the lines under the commands must be printed, in order; ... stands for anything
    ```console shown: REASON  not tried, for the reason stated: it needs the internet, it takes too long, ...
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
Manifest = dict[str, Any]
_MARKDOWN = MarkdownIt("commonmark").enable("table")
_WAYS = {"run": (False, False), "run compare": (False, True), "cluster": (True, False), "cluster compare": (True, True)}
# A reason is a sentence's worth of words, not a mark.
_SHORTEST_REASON = 12
_TEST = re.compile(r"tests/[\w/]+\.py")


def pages() -> list[Path]:
    """Every page that users read."""
    top = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "sample-app/README.md")
    return [ROOT / name for name in top if (ROOT / name).exists()] + sorted((ROOT / "docs").rglob("*.md"))


@dataclass(frozen=True, slots=True)
class Command:
    """One command with its continuation lines, and what the page shows beneath it."""

    line: str
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page: `language`, and whatever else its fence says. `line` counts from 1."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def place(self) -> str:
        """Where to look: docs/operations.md:12."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def problem(self) -> str:
        """Why nobody can tell how a block of commands is to be tried; "" when its mark says it."""
        if self.mark in _WAYS:
            return "" if self.commands else "no line begins with `$ `"
        reason = self.mark.removeprefix("shown:")
        if reason == self.mark:
            return f"{self.mark or 'no mark'!r} is none of {', '.join(_WAYS)}, shown: REASON"
        if len(reason.strip()) < _SHORTEST_REASON:
            return "shown: without a reason"
        missing = [test for test in _TEST.findall(reason) if not (ROOT / test).exists()]
        return f"{', '.join(missing)} does not exist" if missing else ""

    @property
    def is_run(self) -> bool:
        """Whether its commands are tried at all."""
        return self.mark in _WAYS

    @property
    def on_cluster(self) -> bool:
        """Whether its commands need the cluster."""
        return _WAYS[self.mark][0]

    @property
    def compared(self) -> bool:
        """Whether the lines shown must be printed."""
        return _WAYS[self.mark][1]

    @property
    def commands(self) -> list[Command]:
        """The commands; a line goes on after a backslash, or where the next one begins with `> `."""
        found: list[list[str]] = []
        shown: list[list[str]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append([line[2:]])
                shown.append([])
            elif found and (found[-1][-1].endswith("\\") or line.startswith("> ")) and not shown[-1]:
                found[-1].append(line.removeprefix("> "))
            elif found:
                shown[-1].append(line)
        return [Command("\n".join(lines), tuple(under)) for lines, under in zip(found, shown, strict=True)]


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    """The page, parsed."""
    return tuple(_MARKDOWN.parse(page.read_text()))


def blocks() -> Iterator[Block]:
    """Every fenced block of every page."""
    for page in pages():
        for token in tokens(page):
            if token.type == "fence":
                language, _, mark = token.info.strip().partition(" ")
                yield Block(page, (token.map or [0])[0] + 1, language, mark.strip(), token.content)


def consoles() -> list[Block]:
    """The blocks of commands."""
    return [block for block in blocks() if block.language == "console"]


def runnable(*, on_cluster: bool) -> list[Block]:
    """The blocks that are run, here or on the cluster."""
    return [block for block in consoles() if block.is_run and block.on_cluster == on_cluster]


def apps() -> list[Manifest]:
    """Every whole ScalableApp that a page shows."""
    texts = [block.text for block in blocks() if block.language in ("yaml", "yml")]
    return [found for text in texts for found in yaml.safe_load_all(text) if is_app(found)]


def is_app(document: object) -> bool:
    """Whether what stands in a block is a whole ScalableApp."""
    return isinstance(document, dict) and document.get("kind") == "ScalableApp"


def links(page: Path) -> Iterator[str]:
    """Every address that the page leads to or shows."""
    for token in tokens(page):
        for child in token.children or ():
            address = child.attrGet("href") if child.type == "link_open" else child.attrGet("src")
            if address:
                yield str(address)
        if token.type == "html_block":
            yield from re.findall(r"""(?:src|srcset|href)=["']([^"' ]+)""", token.content)


@cache
def anchors(page: Path) -> frozenset[str]:
    """What #... may say behind the page's name, by GitHub's rules."""
    found: list[str] = []
    for before, token in zip(tokens(page), tokens(page)[1:], strict=False):
        if before.type == "heading_open":
            text = "".join(child.content for child in token.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            again = found.count(slug)
            found.append(slug)
            if again:
                found.append(f"{slug}-{again}")
    explicit = re.findall(r'<a (?:id|name)="([^"]+)"', page.read_text())
    return frozenset([*found, *explicit])
