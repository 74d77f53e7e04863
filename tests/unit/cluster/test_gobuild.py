import subprocess
from pathlib import Path

import pytest

from cluster import background, console, gobuild, modules
from cluster.console import ClusterError
from cluster.pace import Pace, minutes

FOLDERS = sorted(path.parent.name for path in modules.FOLDER.glob("*/go.mod"))


def test_every_go_mod_is_a_group_and_every_group_has_one() -> None:
    assert sorted(gobuild.GROUPS) == FOLDERS


@pytest.mark.parametrize("group", FOLDERS)
def test_every_tool_of_a_go_mod_is_compiled(group: str) -> None:
    text = (modules.FOLDER / group / "go.mod").read_text()
    lines = (
        text.partition("tool (")[2].partition(")")[0]
        if "tool (" in text
        else text.partition("\ntool ")[2].split("\n")[0]
    )
    ours = {package for package in gobuild.GROUPS[group].seconds if not package.startswith("scalableapp/")}
    assert set(lines.split()) == ours


def test_etcd_is_named_as_its_program_and_others_after_their_package() -> None:
    assert gobuild.program_of("go.etcd.io/etcd/server/v3") == "etcd"
    assert gobuild.program_of("k8s.io/kubernetes/cmd/kubelet") == "kubelet"


class Go:
    """A go command that notes what it is asked for and writes the programs that it would compile."""

    def __init__(self, version: str = "go1.26.8") -> None:
        self.version = version
        self.compiled: list[str] = []

    def run(self, *command: str, **_: object) -> str:
        assert command == ("go", "env", "GOVERSION")
        return f"{self.version}\n"

    def run_with_progress(self, _topic: str, *command: str, **_options: object) -> None:
        if command[1] == "build":
            self.compiled.append(command[-1])
            Path(command[command.index("-o") + 1]).touch()


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Go:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda _: "/usr/local/go/bin/go")
    found = Go()
    monkeypatch.setattr(gobuild, "run", found.run)
    monkeypatch.setattr(gobuild, "run_with_progress", found.run_with_progress)
    return found


def test_what_the_cache_has_is_not_compiled_again(go: Go) -> None:
    folder = gobuild.ensure("contour")
    assert (folder / "contour").exists()
    assert gobuild.ensure("contour") == folder
    assert go.compiled == ["github.com/projectcontour/contour/cmd/contour"]


def test_a_build_that_was_interrupted_goes_on_where_it_was(go: Go) -> None:
    folder = gobuild.ensure("tests")
    (folder / "kube-router").unlink()
    go.compiled.clear()
    gobuild.ensure("tests")
    assert go.compiled == ["github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"]


def test_the_programs_of_another_kubernetes_have_a_folder_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {group: gobuild.folder(group) for group in gobuild.GROUPS}
    monkeypatch.setenv("KUBERNETES", "1.34.4")
    assert [group for group in gobuild.GROUPS if gobuild.folder(group) != before[group]] == ["kubernetes"]


def test_programs_of_an_older_go_mod_are_removed_once_the_new_ones_are_there(go: Go, tmp_path: Path) -> None:
    older = tmp_path / "scalableapp" / "programs" / "contour-0123456789ab"
    older.mkdir(parents=True)
    gobuild.ensure("contour")
    assert not older.exists()


@pytest.mark.parametrize("version", ["go1.25.9", "go1.27.0"])
def test_another_go_is_refused_with_what_to_install(go: Go, version: str) -> None:
    go.version = version
    with pytest.raises(ClusterError, match=rf"compiled with Go 1\.26, but this is {version}.*first on PATH"):
        gobuild.ensure("contour")
    assert not go.compiled


def test_without_go_the_message_says_what_to_install(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ClusterError, match=r"Go is not installed.*Install Go 1\.26"):
        gobuild.ensure("contour")


def test_how_long_the_rest_takes_follows_the_pace_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr("time.monotonic", lambda: clock)
    pace = Pace([240, 60, 60])
    assert pace.shown("kube-apiserver") == "1 of 3, kube-apiserver; about 6 min left for all"
    clock = 480.0
    assert pace.shown("kube-apiserver") == "1 of 3, kube-apiserver; about 2 min left for all"
    clock = 540.0
    pace.finished()
    assert pace.left() == pytest.approx(360 * (540 + 120) / (240 + 120) - 540)
    pace.finished()
    clock = 3600.0
    assert pace.left() > 0


@pytest.mark.parametrize(("seconds", "message"), [(5.2, "5 s"), (89.0, "89 s"), (90.0, "2 min"), (400.0, "7 min")])
def test_a_duration_is_in_seconds_or_minutes(seconds: float, message: str) -> None:
    assert minutes(seconds) == message


KUBERNETES_GO_MOD = """\
module k8s.io/kubernetes
replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/client-go => ./staging/src/k8s.io/client-go
)
"""


def test_another_kubernetes_takes_its_own_staging_modules() -> None:
    ours = (modules.FOLDER / "kubernetes" / "go.mod").read_text()
    made = modules.go_mod_for(ours, "v1.34.4", KUBERNETES_GO_MOD)
    assert modules.version_in(made, "k8s.io/kubernetes") == "v1.34.4"
    assert "k8s.io/client-go => k8s.io/client-go v0.34.4" in made
    assert "k8s.io/kubernetes/cmd/kubelet" in made
    assert "1.37" not in made


@pytest.mark.parametrize("asked", ["1.34", "latest", "1.34.4; rm"])
def test_what_is_no_version_of_kubernetes_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("KUBERNETES", asked)
    with pytest.raises(ClusterError, match=r"write one such as KUBERNETES=1\.34\.4"):
        modules.kubernetes()


def test_prometheus_counts_its_module_differently() -> None:
    number = modules.version("prometheus", "github.com/prometheus/prometheus")
    major, minor, patch = modules.prometheus().split(".")
    assert number == f"v0.{int(major) * 100 + int(minor)}.{patch}"


def test_a_module_that_no_go_mod_names_is_named() -> None:
    with pytest.raises(ClusterError, match=r"example\.com/none"):
        modules.version("node", "example.com/none")


def test_what_is_compiled_beside_other_work_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "is_built", lambda _: False)
    real, started = subprocess.Popen, []

    def start(_command: list[str], env: dict[str, str], **options: object) -> "subprocess.Popen[bytes]":
        assert env[console.STARTED_VARIABLE] == str(console.STARTED), "both count from one moment"
        started.append(real(["sleep", "60"], start_new_session=bool(options["start_new_session"])))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(ClusterError, match="disk"), background.compiling(("contour",)):
        raise ClusterError("the disk is full")
    assert started[0].poll() is not None


def test_a_failed_compilation_is_reported_to_whoever_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "is_built", lambda _: False)
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: real(["false"]))
    with background.compiling(("contour",)) as compiled, pytest.raises(ClusterError, match="could not be compiled"):
        compiled.wait()


def test_where_all_is_compiled_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "is_built", lambda _: True)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("started a process"))
    with background.compiling(("contour",)) as compiled:
        assert compiled.done
        compiled.wait()
