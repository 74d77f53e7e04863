"""Runs every test that can run here; its arguments go to pytest.

First the tests that need no cluster, while the programs of the cluster are compiled; then the others, on a kind cluster
with the operator in it. It is brought up for them, and taken away again when it, or the engine under it, was not there
before.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from cluster import background, commands, docker, test_parts  # noqa: E402 - a script's own folder is on the path
from cluster.__main__ import NO_ENGINE  # noqa: E402 - as above
from cluster.console import ClusterError, say, warn  # noqa: E402 - as above
from demo import prepare  # noqa: E402 - as above
from demo.errors import DemoError  # noqa: E402 - as above

WITHOUT_CLUSTER = ("-m", "not cluster and not e2e")
WITH_CLUSTER = ("-m", "cluster or e2e")
# Tests beside a compiler come first.
_NICE = 10
# pytest's exit code where the arguments select no test.
_NONE = 5


def main(arguments: list[str]) -> int:
    """Exit code of pytest; 1 when the cluster could not be made ready."""
    engine_ran, cluster_ran = docker.answers(), _cluster("status", quiet=True) == 0
    try:
        with background.compiling(_programs(), nice=_NICE) as compiled:
            without = _pytest(*WITHOUT_CLUSTER, *arguments)
            compiled.wait()
        return _worst(without, _on_cluster(arguments))
    except (ClusterError, DemoError) as error:
        warn(f"the tests did not all run: {error}")
        return 1
    finally:
        if not cluster_ran:
            _cluster("down", *([] if engine_ran else ["--all"]))


def _programs() -> tuple[str, ...]:
    """What has to be compiled; nothing yet where there is no Docker to ask a registry with."""
    if not shutil.which("docker"):
        return ()
    lacking = commands.programs_lacking()
    if docker.registry_answers():
        return lacking
    # Prometheus is the first of those lacking, and what the first tests wait for.
    return (*lacking[:1], "victoriametrics", *lacking[1:], "tests")


def _on_cluster(arguments: list[str]) -> int:
    up = _cluster("up")
    if up == NO_ENGINE and not os.environ.get("CI"):
        say("tests", "SKIPPED: the tests marked cluster and e2e, as no engine can run here (see above)")
        return 0
    if up:
        return up
    prepare.operator_up()
    test_parts.ensure()
    return _pytest(*WITH_CLUSTER, *arguments)


def _worst(*codes: int) -> int:
    """One exit code for several runs of pytest: no test selected counts only where no run had any."""
    return max((code for code in codes if code != _NONE), default=_NONE)


def _pytest(*arguments: str) -> int:
    programs = os.pathsep.join((str(REPOSITORY / ".venv" / "tools"), os.environ["PATH"]))
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env={**os.environ, "PATH": programs}, check=False).returncode


def _cluster(*arguments: str, quiet: bool = False) -> int:
    output = subprocess.DEVNULL if quiet else None
    command = [sys.executable, "-m", "cluster", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, stdout=output, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
