"""Process settings, read once from the environment. Every default is pinned by a test."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from sample_app.environment import SettingsError, choice, integer
from sample_app.serving import Serving
from sample_app.storing import Storing

__all__ = ["Settings", "SettingsError", "worker_count"]

CACHE_BACKENDS = ("None", "Memory", "Redis")
MAX_WORKERS = 8
# What one worker takes beside the memory it shares with the others: 12 MiB at rest (measured: Private_Dirty of
# /proc/PID/smaps_rollup), the rest is room for its in-process cache and for what requests take.
WORKER_MEMORY = 40 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process runs.

    pod: name of the pod (or host) told in answers.
    cache_backend: one of CACHE_BACKENDS; "Memory" is one cache per worker process, "Redis" one for all replicas.
    cache_timeout_seconds: life of a cached answer.
    workers: worker processes; None means as many as the CPU limit can use, at any time.
    threads: threads per worker. CPU work gains nothing from more than one (the GIL); the others answer probes,
        scrapes and short requests while one computes or waits for a slow client.
    drain_seconds: after SIGTERM, how long requests are still accepted while /readyz says 503, so that load
        balancers have time to look away before the port closes.
    serving: what protects the pod, and what its operator may switch on.
    storing: what is kept and where.
    """

    pod: str = "localhost"
    port: int = 8000
    cache_backend: str = "Memory"
    cache_timeout_seconds: int = 30
    workers: int | None = None
    threads: int = 4
    drain_seconds: int = 3
    serving: Serving = field(default_factory=Serving)
    storing: Storing = field(default_factory=Storing)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; an unset or empty variable means its default.

        Raises:
            SettingsError: a variable is not a whole number, is out of bounds or names no known backend.
        """
        return cls(
            pod=environ.get("POD_NAME") or environ.get("HOSTNAME") or cls().pod,
            port=integer(environ, "PORT", 8000, 1, 65535),
            cache_backend=choice(environ, "CACHE_BACKEND", "Memory", CACHE_BACKENDS),
            cache_timeout_seconds=integer(environ, "CACHE_TIMEOUT_SECONDS", 30, 1, 86400),
            workers=integer(environ, "WEB_CONCURRENCY", 2, 1, MAX_WORKERS) if environ.get("WEB_CONCURRENCY") else None,
            threads=integer(environ, "WEB_THREADS", 4, 1, 64),
            drain_seconds=integer(environ, "DRAIN_SECONDS", 3, 0, 20),
            serving=Serving.from_env(environ),
            storing=Storing.from_env(environ),
        )


def worker_count(cpu_limit: float | None, cores: int, memory_limit: int | None = None) -> int:
    """Workers that can use the CPU the container may have: one per core, because of the GIL.

    At least two, so that a worker that dies or hangs never leaves the pod without one; the second costs little
    memory as the application is loaded before the fork. At most MAX_WORKERS: without a limit the host's cores
    would otherwise decide how much memory the pod needs. And no more than fit into the memory limit: a pod that is
    killed for its memory serves nobody.

    Args:
        cpu_limit: in cores, None when there is no limit.
        cores: that this process may be scheduled on.
        memory_limit: in bytes, None when there is no limit.
    """
    usable = cores if cpu_limit is None else min(math.ceil(cpu_limit), cores)
    fitting = MAX_WORKERS if memory_limit is None else memory_limit // WORKER_MEMORY
    return min(max(min(usable, fitting), 2), MAX_WORKERS)
