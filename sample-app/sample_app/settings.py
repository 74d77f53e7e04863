"""Process settings, read once from the environment. Every default is pinned by a test."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

CACHE_BACKENDS = ("None", "Memory", "Redis")
MAX_WORKERS = 8


class SettingsError(ValueError):
    """A variable of the environment cannot be used; the message names it, its value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process runs.

    pod: name of the pod (or host) told in answers.
    cache_backend: one of CACHE_BACKENDS; "Memory" is one cache per worker process, "Redis" one for all replicas.
    cache_timeout_seconds: life of a cached answer.
    threads: threads per worker. CPU work gains nothing from more than one (the GIL); the others answer probes,
        scrapes and short requests while one computes or waits for a slow client.
    drain_seconds: after SIGTERM, how long requests are still accepted while /readyz says 503, so that load
        balancers have time to look away before the port closes.
    cache_stale_seconds: how long after its life an answer may be served while a new one is made.
    cache_negative_seconds: life of a cached "not found".
    cache_single_flight: whether only one request computes an answer that is missing.
    cache_token: who knows it may invalidate; empty for nobody.
    database_url: of the product catalogue; empty for the SQLite file that comes with the image.
    demo: whether answers tell what they cost.
    """

    pod: str = "localhost"
    port: int = 8000
    cache_backend: str = "Memory"
    cache_timeout_seconds: int = 30
    workers: int = 2
    threads: int = 4
    drain_seconds: int = 3
    cache_redis_url: str = ""
    cache_stale_seconds: int = 30
    cache_negative_seconds: int = 5
    cache_single_flight: bool = True
    cache_token: str = ""
    database_url: str = ""
    demo: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str], default_workers: int = 2) -> Self:
        """Read the settings; an unset or empty variable means its default.

        Raises:
            SettingsError: a variable is not a whole number, is out of bounds or names no known backend.
        """
        return cls(
            pod=environ.get("POD_NAME") or environ.get("HOSTNAME") or cls().pod,
            port=_integer(environ, "PORT", 8000, 1, 65535),
            cache_backend=_choice(environ, "CACHE_BACKEND", "Memory", CACHE_BACKENDS),
            cache_timeout_seconds=_integer(environ, "CACHE_TIMEOUT_SECONDS", 30, 1, 86400),
            workers=_integer(environ, "WEB_CONCURRENCY", default_workers, 1, MAX_WORKERS),
            threads=_integer(environ, "WEB_THREADS", 4, 1, 64),
            drain_seconds=_integer(environ, "DRAIN_SECONDS", 3, 0, 20),
            cache_redis_url=_redis_url(environ),
            cache_stale_seconds=_integer(environ, "CACHE_STALE_SECONDS", 30, 0, 86400),
            cache_negative_seconds=_integer(environ, "CACHE_NEGATIVE_SECONDS", 5, 0, 86400),
            cache_single_flight=_switch(environ, "CACHE_SINGLE_FLIGHT", default=True),
            cache_token=environ.get("CACHE_TOKEN", ""),
            database_url=environ.get("DATABASE_URL", ""),
            demo=_switch(environ, "DEMO", default=False),
        )


def worker_count(cpu_limit: float | None, cores: int) -> int:
    """Workers that can use the CPU the container may have: one per core, because of the GIL.

    At least two, so that a worker that dies or hangs never leaves the pod without one; the second costs little
    memory as the application is loaded before the fork. At most MAX_WORKERS: without a limit the host's cores
    would otherwise decide how much memory the pod needs.

    Args:
        cpu_limit: in cores, None when there is no limit.
        cores: that this process may be scheduled on.
    """
    usable = cores if cpu_limit is None else min(math.ceil(cpu_limit), cores)
    return min(max(usable, 2), MAX_WORKERS)


def _integer(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise SettingsError(f"{name}={text!r} is not a whole number from {low} to {high}: mend or unset it")
    return int(text)


def _choice(environ: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]) -> str:
    text = environ.get(name) or default
    if text not in allowed:
        raise SettingsError(f"{name}={text!r} is not one of {', '.join(allowed)}: mend or unset it")
    return text


def _switch(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    return _choice(environ, name, str(int(default)), ("0", "1")) == "1"


def _redis_url(environ: Mapping[str, str]) -> str:
    url = environ.get("CACHE_REDIS_URL", "")
    if environ.get("CACHE_BACKEND") == "Redis" and not url.startswith(("redis://", "rediss://")):
        raise SettingsError(f"CACHE_REDIS_URL={url!r} is not a redis:// URL, which CACHE_BACKEND='Redis' needs: set it")
    return url
