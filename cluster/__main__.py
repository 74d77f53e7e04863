"""Command line: `python3 -m cluster up | status | images | compile | load | down`."""

import argparse
import signal
import sys

from . import commands
from .console import ClusterError, EngineMissingError, warn
from .gobuild import GROUPS
from .lock import only_one

FAILED, NO_ENGINE, INTERRUPTED = 1, 3, 130


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="python3 -m cluster",
        description="A real kind cluster on any Linux machine, with or without a container registry.",
        epilog="OFFLINE=1 in the environment: try no container registry and no download site.",
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser(
        "up", help="create or repair the cluster, with the project's images and an ingress controller"
    )
    load = verbs.add_parser("load", help="rebuild the project's images and load those that changed")
    for verb in (up, load):
        verb.add_argument("--existing", action="store_true", help="use kubectl's current context; create nothing")
    verbs.add_parser("images", help="build the project's images and show their sizes; needs no cluster")
    compiling = verbs.add_parser("compile", help="compile the cluster's programs from Go modules; needs no cluster")
    compiling.add_argument("groups", nargs="*", choices=[[], *GROUPS], metavar="GROUP", help=", ".join(GROUPS))
    verbs.add_parser("status", help="show what is running; exit code 1 when the cluster is not usable")
    down = verbs.add_parser("down", help="remove the cluster; the cache stays")
    down.add_argument("--all", action="store_true", help="also remove the Docker engine, if it was installed here")
    return top


def main() -> int:
    """Runs one command; returns the exit code."""
    # A plain `kill` cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = parser().parse_args()
    try:
        if arguments.verb == "status":
            return commands.status()
        if arguments.verb == "compile":
            # Beside another command, which may be waiting for it.
            commands.compile_programs(tuple(arguments.groups))
            return 0
        with only_one():
            _run(arguments)
    except ClusterError as error:
        warn(str(error))
        return NO_ENGINE if isinstance(error, EngineMissingError) else FAILED
    except KeyboardInterrupt:
        warn("interrupted; finished steps are kept, and the same command continues from there.")
        return INTERRUPTED
    return 0


def _run(arguments: argparse.Namespace) -> None:
    match arguments.verb:
        case "up" if arguments.existing:
            commands.up_existing()
        case "up":
            commands.up()
        case "images":
            commands.build_images()
        case "load" if arguments.existing:
            commands.load_existing()
        case "load":
            commands.load()
        case "down":
            commands.down(everything=arguments.all)


if __name__ == "__main__":
    sys.exit(main())
