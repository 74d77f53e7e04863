"""The `scalableapp` command: the operator's decisions, tried without a cluster or explained from one.

As `kubectl-scalableapp` on PATH it is kubectl's plugin: kubectl scalableapp explain shop/web.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from scalableapp import __version__
from scalableapp.commands.decide import lines as decide
from scalableapp.commands.explain import command as explain
from scalableapp.commands.plugin import (
    backtest_command,
    completion_command,
    history_command,
    list_command,
    pause_command,
    recommend_command,
    top_command,
)

_DESCRIPTION = "Lists the apps in a cluster, explains and pauses their scaling, and runs decisions without a cluster."
_COMMANDS = (
    list_command.add_to,
    top_command.add_to,
    explain.add_to,
    history_command.add_to,
    pause_command.add_to,
    recommend_command.add_to,
    backtest_command.add_to,
    completion_command.add_to,
)
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
# What the scripts of `scalableapp completion` call; no command for people.
COMPLETE = "__complete"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == [COMPLETE]:
        return complete(given[1:])
    options = _parser().parse_args(given)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def complete(words: Sequence[str] | None = None) -> int:
    """Print what the last word could become; as kubectl_complete-scalableapp on PATH, for kubectl."""
    return completion_command.complete(_parser(), sys.argv[1:] if words is None else words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_program(sys.argv[0]), description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"scalableapp {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add_to in (*_COMMANDS, _add_decide):
        add_to(commands)
    return parser


def _program(command: str) -> str:
    """The name under which the user called it."""
    return "kubectl scalableapp" if Path(command).name.startswith("kubectl-") else "scalableapp"


def _add_decide(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "decide",
        help="run decisions on situations from a JSON Lines file",
        description=decide.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Prints one line per input line: replicas, reason, message, steps; or error, with exit status 2.",
    )
    command.add_argument("file", metavar="FILE", help="JSON Lines file, or - for standard input")
    command.add_argument(
        "--follow",
        action="store_true",
        help="the lines are successive ticks of one app: answer each immediately and keep the history between them",
    )
    command.set_defaults(run=_decide)


def _decide(options: argparse.Namespace) -> int:
    status = 0
    try:
        with _opened(options.file) as lines:
            for answer in decide.answer_lines(lines, follow=options.follow):
                print(json.dumps(answer), flush=True)  # noqa: T201 - answers on standard output are what this command is for
                status = EXIT_BAD_INPUT if "error" in answer else status
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        print(f"scalableapp decide: cannot read {options.file}: {error}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_BAD_INPUT
    return status


@contextlib.contextmanager
def _opened(file: str) -> Iterator[TextIO]:
    if file == "-":
        yield sys.stdin
        return
    with Path(file).open(encoding="utf-8") as lines:
        yield lines


if __name__ == "__main__":
    sys.exit(main())
