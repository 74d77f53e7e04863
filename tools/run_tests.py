"""Runs every test that can run here; its arguments go to pytest.

First the tests that need no cluster, while the programs of the cluster are compiled, and then those of them that need
the machine alone. Then, on a kind cluster with the operator in it, those that share the cluster, several at a time, and
those that need it alone. The cluster is brought up for them, and taken away again when it, or the engine under it, was
not there before.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from cluster import background, commands, docker, test_parts  # noqa: E402 - a script's own folder is on the path
from cluster.__main__ import NO_ENGINE  # noqa: E402 - as above
from cluster.console import ClusterError, say, warn  # noqa: E402 - as above
from demo import prepare  # noqa: E402 - as above
from demo.errors import DemoError  # noqa: E402 - as above
from tools import junit  # noqa: E402 - as above

WITHOUT_CLUSTER = ("-m", "not cluster and not e2e and not alone", "-n", "4")
# Most of these wait for a pod or a controller.
SHARED_CLUSTER = ("-m", "(cluster or e2e) and not alone", "-n", "5", "--maxschedchunk", "1")
ALONE = ("-m", "alone and (cluster or e2e)")
# Their operators have seconds for what they do.
ALONE_WITHOUT_CLUSTER = ("-m", "alone and not (cluster or e2e)")
# Tests beside a compiler come first.
_NICE = 10
# pytest's exit code where the arguments select no test.
_NONE = 5


class Runs:
    """The runs of pytest so far, each with its report in a folder."""

    def __init__(self, arguments: list[str], reports: Path) -> None:
        self._arguments = arguments
        self._reports = reports
        self._codes: list[int] = []

    def run(self, *selection: str) -> None:
        """Run those tests of a selection that the arguments leave."""
        report = self._reports / f"{len(self._codes)}.xml"
        self._codes.append(_pytest(*selection, f"--junit-xml={report}", *self._arguments))

    def select(self, *selection: str) -> bool:
        """Whether the arguments leave any of these tests; without arguments it is not looked at."""
        collect = ("--collect-only", "--quiet", "--no-summary", "-p", "no:xdist")
        return not self._arguments or _pytest(*collect, *selection[:2], *self._arguments, quiet=True) != _NONE

    @property
    def code(self) -> int:
        """One exit code for all runs: no test selected counts only where no run had any."""
        return max((code for code in self._codes if code != _NONE), default=_NONE)


def main(arguments: list[str]) -> int:
    """Exit code of pytest; 1 when the cluster could not be made ready."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        reports = Path(folder)
        runs = Runs(arguments, reports)
        try:
            return _all(runs)
        except (ClusterError, DemoError) as error:
            warn(f"the tests did not all run: {error}")
            return 1
        finally:
            print(junit.summary(sorted(reports.glob("*.xml")), time.monotonic() - started), flush=True)


def _all(runs: Runs) -> int:
    if not runs.select("-m", "cluster or e2e"):
        runs.run(*WITHOUT_CLUSTER)
        runs.run(*ALONE_WITHOUT_CLUSTER)
        return runs.code
    engine_ran, cluster_ran = docker.answers(), _cluster("status", quiet=True) == 0
    try:
        with background.compiling(_programs(), nice=_NICE) as compiled:
            runs.run(*WITHOUT_CLUSTER)
            compiled.wait()
        runs.run(*ALONE_WITHOUT_CLUSTER)
        return _on_cluster(runs)
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


def _on_cluster(runs: Runs) -> int:
    up = _cluster("up")
    if up == NO_ENGINE and not os.environ.get("CI"):
        say("tests", "SKIPPED: the tests marked cluster and e2e, as no engine can run here (see above)")
        return runs.code
    if up:
        return up
    prepare.operator_up()
    test_parts.ensure()
    for selection in (SHARED_CLUSTER, ALONE):
        runs.run(*selection)
    return runs.code


def _pytest(*arguments: str, quiet: bool = False) -> int:
    programs = os.pathsep.join((str(REPOSITORY / ".venv" / "tools"), os.environ["PATH"]))
    command = [sys.executable, "-m", "pytest", *arguments]
    output = subprocess.DEVNULL if quiet else None
    environment = {**os.environ, "PATH": programs}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=output, check=False).returncode


def _cluster(*arguments: str, quiet: bool = False) -> int:
    output = subprocess.DEVNULL if quiet else None
    command = [sys.executable, "-m", "cluster", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, stdout=output, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
