"""Runs every test that can run here; its arguments go to pytest.

The cluster tests need the kind cluster with the operator in it. It is brought up for them, and taken
away again when it, or the engine under it, was not there before.
"""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from cluster import docker  # noqa: E402 - a script's own folder is on the path, the repository is not
from cluster.__main__ import NO_ENGINE  # noqa: E402 - as above
from cluster.console import ClusterError, say, warn  # noqa: E402 - as above
from demo import prepare  # noqa: E402 - as above
from demo.errors import DemoError  # noqa: E402 - as above

WITHOUT_CLUSTER = "not cluster and not e2e"


def main(arguments: list[str]) -> int:
    """Exit code of pytest; 1 when the cluster could not be made ready."""
    engine_ran, cluster_ran = docker.answers(), _cluster("status", quiet=True) == 0
    try:
        return _run(arguments)
    except (ClusterError, DemoError) as error:
        warn(f"the tests did not run: {error}")
        return 1
    finally:
        if not cluster_ran:
            _cluster("down", *([] if engine_ran else ["--all"]))


def _run(arguments: list[str]) -> int:
    up = _cluster("up")
    if up == NO_ENGINE and not os.environ.get("CI"):
        say("tests", "SKIPPED: the tests marked cluster and e2e, as no engine can run here (see above)")
        return _pytest("-m", WITHOUT_CLUSTER, *arguments)
    if up:
        return up
    prepare.operator_up()
    return _pytest(*arguments)


def _pytest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=REPOSITORY, check=False).returncode


def _cluster(*arguments: str, quiet: bool = False) -> int:
    output = subprocess.DEVNULL if quiet else None
    command = [sys.executable, "-m", "cluster", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, stdout=output, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
