"""The Docker engine: the one that runs, else one that we install and start, and can take away again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import docker, packages
from .console import ClusterError, EngineMissingError, say
from .settings import cache_dir, log_file
from .shell import run, succeeds

_START_SECONDS = 60.0
_SHIM = Path(__file__).parent / "node-image" / "runc-within-bounds"
_ALL_CAPABILITIES = 0x1FFFFFFFFFF


def ensure() -> None:
    """Makes an engine answer on the default socket. Raises EngineMissingError when there can be none here."""
    if docker.answers():
        say(
            "engine",
            f"Docker {run('docker', 'version', '--format', '{{.Server.Version}}').strip()} is running; using it",
        )
        return
    _refuse_what_only_the_user_can_fix()
    packages.need("dockerd", "docker.io")
    # Debian 12's docker.io brings the client, Debian 13's does not.
    packages.need("docker", "docker-cli")
    if Path("/run/systemd/system").exists():
        say("engine", "starting Docker by systemd")
        run("systemctl", "start", "docker", timeout=_START_SECONDS)
    else:
        _start_dockerd()


def _refuse_what_only_the_user_can_fix() -> None:
    if os.environ.get("DOCKER_HOST"):
        raise EngineMissingError("no engine answers at DOCKER_HOST; unset it or start that engine, then try again.")
    if os.geteuid() != 0:
        raise EngineMissingError(
            "no Docker engine answers to this user; start Docker (and join its group), or run this as root to have one"
            " installed."
        )
    if not shutil.which("dockerd") and not shutil.which("apt-get"):
        raise EngineMissingError(
            "Docker is not installed, and this tool can install it only on Debian and Ubuntu; install it first."
        )


def _start_dockerd() -> None:
    """Starts dockerd where no service manager does; its images live in the cache, so they survive it."""
    home = _home()
    (home / "data").mkdir(parents=True, exist_ok=True)
    if _dockerd_process() is None:
        # Left by a dockerd that was killed; its process id may be someone else's by now.
        _pid_file().unlink(missing_ok=True)
        command = ["dockerd", "--data-root", str(home / "data"), "--pidfile", str(_pid_file()), *_runtime_options()]
        say("engine", f"starting dockerd, because no service manager is running; log: {log_file('dockerd')}")
        log_file("dockerd").parent.mkdir(parents=True, exist_ok=True)
        with log_file("dockerd").open("a") as log:
            # A session of its own: Ctrl-C here must not end it.
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    _wait_until_it_answers()


def _runtime_options() -> list[str]:
    """Options of dockerd that put the shim before runc, on machines that lack a capability; else none."""
    bounding = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
    if int(bounding.split()[1], 16) & _ALL_CAPABILITIES == _ALL_CAPABILITIES:
        return []
    say("engine", "this machine lacks a capability; containers request only those it has")
    shim = _home() / _SHIM.name
    # With the interpreter that runs us, as the machine's own may be missing; not a virtual environment's, which may go.
    interpreter = str(Path(sys.executable).resolve())
    shim.write_text(_SHIM.read_text().replace("/usr/bin/python3", interpreter, 1))
    shim.chmod(0o755)
    return ["--add-runtime", f"{shim.name}={shim}", "--default-runtime", shim.name]


def _wait_until_it_answers() -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not docker.answers():
        if time.monotonic() > deadline:
            raise ClusterError(f"dockerd did not answer within {_START_SECONDS:.0f} s; see {log_file('dockerd')}.")
        time.sleep(0.3)


def remove() -> None:
    """Stops the engine we started and purges the packages we installed. An engine of the user's stays as it is."""
    if (process := _dockerd_process()) is not None:
        say("engine", "stopping the dockerd we started")
        _stop(process)
        _clear_network()
        _clear_mounts_and_cgroups()
    packages.purge_ours()


def is_ours_but_dead() -> bool:
    """Whether an engine that we once started is down now, while what it ran is still recorded as running."""
    return not docker.answers() and _pid_file().exists() and bool(shutil.which("dockerd"))


def _stop(process: int) -> None:
    os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + _START_SECONDS
    while _dockerd_process() == process:
        if time.monotonic() > deadline:
            raise ClusterError(f"dockerd (process {process}) does not stop; see {log_file('dockerd')}.")
        time.sleep(0.2)


def _clear_network() -> None:
    """Takes away the bridge and the firewall rules that dockerd leaves behind when it ends."""
    succeeds("ip", "link", "delete", "docker0")
    for family in ("iptables", "ip6tables"):
        if succeeds(f"{family}-save"):
            kept = without_docker_rules(run(f"{family}-save"))
            run(f"{family}-restore", stdin=kept)


def _clear_mounts_and_cgroups() -> None:
    """Takes away the rest of what dockerd leaves behind, all of it empty by now."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in reversed(mounted):
        if place.startswith(("/run/docker/", f"{_home()}/")):
            run("umount", place)
    shutil.rmtree("/run/docker", ignore_errors=True)
    for cgroup in Path("/sys/fs/cgroup").glob("*/docker"):
        for nested in sorted((path for path in cgroup.rglob("*") if path.is_dir()), reverse=True):
            nested.rmdir()
        cgroup.rmdir()


def without_docker_rules(saved: str) -> str:
    """An iptables-save listing without Docker's chains and rules, and with forwarding as it was without Docker."""
    kept = [line for line in saved.splitlines() if "DOCKER" not in line and "docker0" not in line]
    text = "\n".join(kept) + "\n"
    return text.replace(":FORWARD DROP", ":FORWARD ACCEPT")


def _dockerd_process() -> int | None:
    """The process id of the dockerd that we started, None when it does not run."""
    try:
        process = int(_pid_file().read_text())
        # Of a process that was killed and not yet reaped, only this link is gone.
        program = Path(f"/proc/{process}/exe").readlink().name
    except (OSError, ValueError):
        return None
    return process if program == "dockerd" else None


def _home() -> Path:
    return cache_dir() / "engine"


def _pid_file() -> Path:
    return _home() / "dockerd.pid"
