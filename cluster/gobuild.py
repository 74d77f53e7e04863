"""Programs compiled from Go modules, for machines that reach no container registry.

Each folder of cluster/go is one group: its go.mod names the programs (as tools) and every version, its go.sum their
checksums. A compiled group lies in the cache under a name that changes with all that it is made of, so it is compiled
once. CoreDNS has a main package of ours, which is CoreDNS's documented way to choose plugins.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import fingerprint, modules
from .console import ClusterError, say
from .lock import only_one
from .pace import Pace, minutes
from .settings import cache_dir, log_file
from .shell import run, run_with_progress

# Compiled with Go 1.27 the API server serves an OpenAPI document that kubectl cannot read.
_GO = "1.26"
_DOWNLOAD_SECONDS = 900.0
_COMPILE_SECONDS = 3600.0
# A program is named after the last part of its package's path, but for these.
_NAMES = {"go.etcd.io/etcd/server/v3": "etcd"}
# The same program whatever the state of this checkout, and of a folder that git does not trust, too.
_FLAGS = ("-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false")
# More memory for less time; no C compiler, so that a program runs in an image without a C library.
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOGC": "400"}


@dataclass(frozen=True)
class Group:
    """The main packages of one go.mod, each with the seconds that two idle cores need for it, and their build tags.

    The order counts: what comes first pays for the packages that the others share.
    """

    seconds: Mapping[str, int]
    tags: str = ""


GROUPS = {
    "kubernetes": Group(
        {
            "k8s.io/kubernetes/cmd/kube-apiserver": 235,
            "k8s.io/kubernetes/cmd/kube-controller-manager": 67,
            "k8s.io/kubernetes/cmd/kube-scheduler": 7,
            "k8s.io/kubernetes/cmd/kubelet": 18,
            "k8s.io/kubernetes/cmd/kube-proxy": 8,
            "k8s.io/kubernetes/cmd/kubeadm": 15,
            "k8s.io/kubernetes/cmd/kubectl": 14,
        }
    ),
    "node": Group(
        {
            "go.etcd.io/etcd/server/v3": 8,
            "scalableapp/cluster/node/coredns": 8,
            "sigs.k8s.io/kind": 3,
            "github.com/containerd/containerd/v2/cmd/containerd": 29,
            "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2": 2,
            "github.com/containerd/containerd/v2/cmd/ctr": 3,
        },
        tags="no_btrfs,no_devmapper,no_zfs",
    ),
    "prometheus": Group(
        {
            "github.com/prometheus/prometheus/cmd/prometheus": 70,
            # For tests of rules.
            "github.com/prometheus/prometheus/cmd/promtool": 10,
        },
        tags="remove_all_sd,enable_kubernetes_sd,netgo",
    ),
    "contour": Group({"github.com/projectcontour/contour/cmd/contour": 80}),
    "tests": Group(
        {
            "sigs.k8s.io/metrics-server/cmd/metrics-server": 70,
            "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router": 120,
        }
    ),
    "victoriametrics": Group({"github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics": 25}),
}


def ensure(group: str) -> Path:
    """Compiles the group unless the cache has it, and returns the folder of its programs.

    Raises ClusterError where Go is missing or a build fails.
    """
    compile_all((group,))
    return folder(group)


def compile_all(groups: tuple[str, ...]) -> None:
    """Compiles the groups that are not in the cache, and says how far it is.

    Of two processes that ask for the same group one compiles it and the other waits. Raises ClusterError as `ensure`.
    """
    todo = [group for group in groups if not is_built(group)]
    if not todo:
        return
    go = _refuse_other_go()
    pace = Pace([seconds for group in todo for seconds in GROUPS[group].seconds.values()])
    say("programs", f"compiling {', '.join(todo)} from Go modules with {go}, once; about {minutes(pace.left())}")
    for group in todo:
        with only_one(f"compile-{group}"):
            _compile(group, pace)
    say("programs", f"compiled {', '.join(todo)} in {minutes(pace.elapsed())}")


def is_built(group: str) -> bool:
    """Whether the cache has all programs of the group."""
    return not _missing(group)


def folder(group: str) -> Path:
    """Where the group's programs are, or will be."""
    version = modules.kubernetes() if group == "kubernetes" else ""
    made_with = repr((GROUPS[group].tags, _FLAGS, _GO, version))
    return cache_dir() / "programs" / f"{group}-{fingerprint.of(modules.FOLDER / group, extra=made_with)}"


def program_of(package: str) -> str:
    """Name of the program that a main package makes."""
    return _NAMES.get(package) or package.rpartition("/")[2]


def _missing(group: str) -> list[str]:
    there = folder(group)
    return [package for package in GROUPS[group].seconds if not (there / program_of(package)).exists()]


def _compile(group: str, pace: Pace) -> None:
    """Compiles what is still missing of a group: another process may have been at it."""
    missing = _missing(group)
    source = _source(group) if missing else None
    for package in GROUPS[group].seconds:
        if source and package in missing:
            _build(group, package, source, pace)
        pace.finished()
    _forget_older(group)


def _build(group: str, package: str, source: Path, pace: Pace) -> None:
    program = program_of(package)
    say("programs", f"compiling {pace.shown(program)}")
    folder(group).mkdir(parents=True, exist_ok=True)
    unfinished = folder(group) / f"{program}.new"
    link = " ".join(("-s", "-w", *(f"-X {name}={value}" for name, value in _stamps(group).items())))
    options = (*_FLAGS, f"-tags={GROUPS[group].tags}", f"-ldflags={link}", "-o", str(unfinished))
    run_with_progress(
        "programs",
        *("go", "build", *options, package),
        log=log_file(f"go-build-{program}"),
        timeout=_COMPILE_SECONDS,
        env=_ENVIRONMENT,
        cwd=source,
        progress=lambda: pace.shown(program),
    )
    unfinished.rename(folder(group) / program)


def _stamps(group: str) -> dict[str, str]:
    """What the programs say of their version, as their own release builds set it."""
    if group == "kubernetes":
        version = modules.kubernetes()
        fields = {
            "gitVersion": version,
            "gitMajor": "1",
            "gitMinor": version.split(".")[1],
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
        }
        packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        return {f"{package}.{name}": value for package in packages for name, value in fields.items()}
    if group == "prometheus":
        return {"github.com/prometheus/common/version.Version": modules.prometheus()}
    if group == "contour":
        contour = "github.com/projectcontour/contour"
        return {f"{contour}/internal/build.Version": modules.version(group, contour)}
    if group == "tests":
        router = "github.com/cloudnativelabs/kube-router/v2"
        return {f"{router}/pkg/version.Version": modules.version(group, router)}
    if group == "victoriametrics":
        version = modules.version(group, "github.com/VictoriaMetrics/VictoriaMetrics")
        build = f"victoria-metrics-{version}"
        return {"github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version": build}
    return {}


def _source(group: str) -> Path:
    """The folder with the group's go.mod, its modules downloaded and checked."""
    source = modules.FOLDER / group
    if group == "kubernetes" and modules.kubernetes() != modules.default_kubernetes():
        return _other_kubernetes(modules.kubernetes())
    say("programs", f"downloading the modules of cluster/go/{group}")
    _go("mod", "download", source=source, log=f"go-download-{group}")
    return source


def _other_kubernetes(wanted: str) -> Path:
    """A folder in the cache with a go.mod for another version of Kubernetes; Go's checksum database vouches for it."""
    source = cache_dir() / "go" / f"kubernetes-{wanted}"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    say("programs", f"resolving the modules of Kubernetes {wanted}")
    (source / "go.mod").write_text("module unused\n")
    download = ("go", "mod", "download", "-json", f"k8s.io/kubernetes@{wanted}")
    found = json.loads(run(*download, timeout=_DOWNLOAD_SECONDS, cwd=source))
    ours = (modules.FOLDER / "kubernetes" / "go.mod").read_text()
    (source / "go.mod").write_text(modules.go_mod_for(ours, wanted, Path(found["GoMod"]).read_text()))
    _go("mod", "tidy", source=source, log=f"go-tidy-kubernetes-{wanted}")
    return source


def _go(*arguments: str, source: Path, log: str) -> None:
    run_with_progress("programs", "go", *arguments, log=log_file(log), timeout=_DOWNLOAD_SECONDS, cwd=source)


def _refuse_other_go() -> str:
    """The version of Go on PATH. Raises ClusterError where it is missing or another one than is needed."""
    if not shutil.which("go"):
        raise ClusterError(
            f"no container registry answers, and Go is not installed to compile Kubernetes with. Install Go {_GO}"
            " (https://go.dev/dl), or run this where a container registry can be reached."
        )
    found = run("go", "env", "GOVERSION", cwd=modules.FOLDER / "kubernetes").strip()
    if not found.startswith(f"go{_GO}."):
        raise ClusterError(
            f"no container registry answers, and Kubernetes is compiled with Go {_GO}, but this is {found}. Put Go"
            f" {_GO} (https://go.dev/dl) first on PATH, or run this where a container registry can be reached."
        )
    return found


def _forget_older(group: str) -> None:
    """Removes what earlier versions of the group left in the cache; another Kubernetes' programs stay."""
    if group == "kubernetes":
        return
    for path in (cache_dir() / "programs").glob(f"{group}-*"):
        if path != folder(group):
            shutil.rmtree(path, ignore_errors=True)
