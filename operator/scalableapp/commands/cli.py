"""The `scalableapp` command: the operator's decisions, tried without a cluster or explained from one.

As `kubectl-scalableapp` on PATH it is kubectl's plugin: kubectl scalableapp explain shop/web.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from scalableapp import __version__
from scalableapp.commands.adopt import command as adopt
from scalableapp.commands.decide import command as decide
from scalableapp.commands.explain import command as explain
from scalableapp.commands.plugin import (
    backtest_command,
    check_command,
    completion_command,
    history_command,
    list_command,
    pause_command,
    recommend_command,
    render_command,
    top_command,
)

_DESCRIPTION = (
    "Lists the apps in a cluster, explains and pauses their scaling, checks the installation, and runs decisions "
    "without a cluster."
)
_COMMANDS = (
    list_command.add_to,
    top_command.add_to,
    check_command.add_to,
    explain.add_to,
    history_command.add_to,
    pause_command.add_to,
    recommend_command.add_to,
    adopt.add_to,
    render_command.add_to,
    backtest_command.add_to,
    completion_command.add_to,
    decide.add_to,
)
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
    for add_to in _COMMANDS:
        add_to(commands)
    return parser


def _program(command: str) -> str:
    """The name under which the user called it."""
    return "kubectl scalableapp" if Path(command).name.startswith("kubectl-") else "scalableapp"


if __name__ == "__main__":
    sys.exit(main())
