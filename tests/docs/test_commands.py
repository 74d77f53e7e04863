"""Every command in the documentation is run, or says why not."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, consoles, pages, runnable, tokens
from tests.docs.running import compare, run, scratch_copy

# Words that begin a command of ours, where it stands in a block that is no console.
COMMAND = re.compile(r"\$ |\.venv/bin/|(make|kubectl|scalableapp|docker|helm|curl|python3|pip|git) ")


@pytest.mark.parametrize("block", consoles(), ids=lambda block: block.place)
def test_each_block_of_commands_says_how_it_is_tried(block: Block) -> None:
    assert block.problem == "", f"{block.place}: {block.problem} (tests/docs/pages.py has the marks)"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_stand_in_console_blocks(page: Path) -> None:
    others = [token for token in tokens(page) if token.type in ("fence", "code_block")]
    strays = [
        line.strip()
        for token in others
        if token.info.split(" ")[0] in ("", "sh", "bash", "shell", "text")
        for line in token.content.splitlines()
        if COMMAND.match(line)
    ]
    assert strays == [], f"{page.relative_to(ROOT)}: write ```console and `$ ` before each command"


@pytest.mark.parametrize("block", runnable(on_cluster=False), ids=lambda block: block.place)
def test_commands_that_need_no_cluster_work(block: Block, tmp_path: Path) -> None:
    scratch_copy(tmp_path)
    run(block, tmp_path)


def _block(text: str, mark: str = "run") -> Block:
    return Block(ROOT / "README.md", 1, "console", mark, text)


@pytest.mark.parametrize(
    ("mark", "problem"),
    [
        ("", "no mark"),
        ("runs", "is none of run"),
        ("shown:", "without a reason"),
        ("shown: tests/none/test_none.py runs it", "does not exist"),
        ("shown: needs the internet", ""),
        ("cluster compare", ""),
    ],
)
def test_a_mark_that_says_nothing_is_found(mark: str, problem: str) -> None:
    said = _block("$ true", mark).problem
    assert problem in said
    assert bool(problem) == bool(said)


def test_a_command_goes_on_after_a_backslash_and_in_lines_that_say_so() -> None:
    one, two, three = _block("$ echo a \\\n    b\na b\n$ cat <<EOF\n> x\n> EOF\nx\n$ true").commands
    assert (one.line, one.shown) == ("echo a \\\n    b", ("a b",))
    assert (two.line, two.shown) == ("cat <<EOF\nx\nEOF", ("x",))
    assert three.line == "true"


def test_what_a_block_shows_must_be_printed(tmp_path: Path) -> None:
    run(_block("$ echo one; echo two\none\n$ printf '%s\\n' 'a  1 s' b\na ... s", "run compare"), tmp_path)
    with pytest.raises(AssertionError, match="three"):
        run(_block("$ echo one\nthree", "run compare"), tmp_path)
    with pytest.raises(AssertionError, match="one"):
        compare(["two", "one"], "one\ntwo\n", "order counts")


def test_a_command_that_fails_is_reported_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"README.md:1: exit status 3\nbefore"):
        run(_block("$ echo before; exit 3\n$ echo after"), tmp_path)


def test_what_a_command_writes_stays_in_the_scratch_copy(tmp_path: Path) -> None:
    scratch_copy(tmp_path)
    run(_block("$ test -f README.md && echo x > written-by-a-test"), tmp_path)
    assert not (ROOT / "written-by-a-test").exists()
