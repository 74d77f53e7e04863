"""The operator's process under what its manifest sets: probes, grace period, restarts with back-off, memory limit.

The memory limit is kept by reading the resident memory five times a second and killing the process above it, as no
cgroup need be writable for that. The kernel also counts the page cache and would look at every page.
"""

import asyncio
import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml

from benchmarks.faults.servers import end, free_port
from cluster.settings import REPOSITORY

_MANIFEST = REPOSITORY / "manifests" / "base" / "deployment.yaml"
_POD = yaml.safe_load(_MANIFEST.read_text())["spec"]["template"]["spec"]
_CONTAINER = _POD["containers"][0]
_PROBE = _CONTAINER["livenessProbe"]
LIMIT_MIB = int(_CONTAINER["resources"]["limits"]["memory"].removesuffix("Mi"))
_BACK_OFF_SECONDS = (0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
_SAMPLE_SECONDS = 0.2
_MEMORY = re.compile(r"^(VmHWM|VmRSS):\s+(\d+) kB$", re.MULTILINE)


@dataclass
class Operator:
    """Starts the process again whenever it ends, until `stop`. `module` is what it runs."""

    environment: dict[str, str]
    log: Path
    module: str = "scalableapp"
    exits: list[str] = field(default_factory=list)
    peak_mib: float = 0.0
    process: asyncio.subprocess.Process | None = None

    def __post_init__(self) -> None:
        self.metrics_url = f"http://127.0.0.1:{(metrics := free_port())}"
        self._health_url = f"http://127.0.0.1:{(health := free_port())}/healthz"
        ports = {"SCALABLEAPP_METRICS_PORT": str(metrics), "SCALABLEAPP_LIVENESS_PORT": str(health)}
        self.environment = os.environ | self.environment | ports
        self._ends_by = ""
        self._ended_on_purpose: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Keep it running, as a kubelet does, until cancelled; then it is stopped."""
        try:
            for pause in (*_BACK_OFF_SECONDS, *[_BACK_OFF_SECONDS[-1]] * 1000):
                await self._run_once()
                await asyncio.sleep(pause)
        finally:
            await self.restart()

    async def restart(self) -> None:
        """End the process as a drained node does; it starts again. Does not count as its own end."""
        if self.process:
            self._ended_on_purpose = self.process
            await end(self.process, _POD["terminationGracePeriodSeconds"])

    async def text(self, path: str) -> tuple[int, str]:
        """Status and text of /readyz or /metrics; 0 and nothing where it does not answer."""
        return await _ask(f"{self.metrics_url}{path}", 2.0)

    async def _run_once(self) -> None:
        self._ends_by = ""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self.module),
                env=self.environment,
                stdout=log,
                stderr=log,
                cwd=self.log.parent,
                start_new_session=True,
            )
        process = self.process
        watching = [asyncio.create_task(self._limit_memory(process)), asyncio.create_task(self._probe(process))]
        try:
            code = await process.wait()
        finally:
            for task in watching:
                task.cancel()
        if process is not self._ended_on_purpose:
            self.exits.append(self._ends_by or f"exit {code}")

    async def _limit_memory(self, process: asyncio.subprocess.Process) -> None:
        while True:
            found = {name: int(kib) / 1024 for name, kib in _MEMORY.findall(_read(f"/proc/{process.pid}/status"))}
            self.peak_mib = max(self.peak_mib, found.get("VmHWM", 0.0))
            if found.get("VmHWM", 0.0) > LIMIT_MIB and process.returncode is None:
                self._ends_by = "killed for its memory"
                process.kill()
                return
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _probe(self, process: asyncio.subprocess.Process) -> None:
        failures = 0
        await asyncio.sleep(_PROBE["initialDelaySeconds"])
        while failures < _PROBE["failureThreshold"]:
            started = time.monotonic()
            status, _ = await _ask(self._health_url, _PROBE["timeoutSeconds"])
            failures = 0 if 200 <= status < 400 else failures + 1
            if failures < _PROBE["failureThreshold"]:
                await asyncio.sleep(max(0.0, _PROBE["periodSeconds"] - (time.monotonic() - started)))
        self._ends_by = "killed by its liveness probe"
        if not await end(process, _POD["terminationGracePeriodSeconds"]):
            self._ends_by += ", SIGTERM ignored"


async def _ask(url: str, seconds: float) -> tuple[int, str]:
    try:
        async with aiohttp.request("GET", url, timeout=aiohttp.ClientTimeout(seconds)) as answer:
            return answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError):
        return 0, ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
