"""Settings of how requests are served and what protects the pod, read from the environment with the others."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from limits import parse_many

from sample_app.environment import Environment, SettingsError, integer, switch, token

# A guessed token is a stranger's profile of our requests; 16 random characters take longer than anyone tries.
_STORAGES = re.compile(r"(memory|rediss?)://.*")


@dataclass(frozen=True, slots=True)
class Serving:
    """What an operator of the app may set beside the usual.

    demo: serve the routes that burn, hold, delay and fail on purpose.
    profile_token: who has it may switch the profiler on; "" means that there is no profiler.
    profile_folder: where profiles and the profiler's switch lie, shared by the workers of this pod.
    rate_limit: what one client may ask for, such as "100/minute"; "" means anything.
    rate_limit_storage: memory:// counts in each worker by itself, redis://HOST counts for all replicas together.
    trusted_proxies: how many proxies in front append to X-Forwarded-For; the client is told apart by that entry.
    max_body_bytes: larger requests are answered 413 before they are read.
    queue_limit: requests that may wait for a thread of one worker; more are answered 503 at once.
    queue_seconds: a request that has waited longer is answered 503 instead of being worked on.
    cgroup_folder: where the container's cgroup is mounted; None means to look it up in /proc/self.
    static_folder: the hashed files that `python -m sample_app.assets` made; the sources are served without it.
    """

    demo: bool = False
    profile_token: str = ""
    profile_folder: Path = Path("/tmp/profiles")  # noqa: S108 - what a container with a read-only root may write
    rate_limit: str = ""
    rate_limit_storage: str = "memory://"
    trusted_proxies: int = 1
    max_body_bytes: int = 1024 * 1024
    queue_limit: int = 100
    queue_seconds: int = 10
    cgroup_folder: Path | None = None
    static_folder: Path | None = None

    @classmethod
    def from_env(cls, environ: Environment) -> Self:
        """Read the settings; an unset or empty variable means its default.

        Raises:
            SettingsError: a variable cannot be used.
        """
        default = cls()
        return cls(
            demo=switch(environ, "DEMO"),
            profile_token=token(environ, "PROFILE_TOKEN"),
            profile_folder=_folder(environ, "PROFILE_FOLDER") or default.profile_folder,
            rate_limit=_rates(environ),
            rate_limit_storage=_storage(environ, default.rate_limit_storage),
            trusted_proxies=integer(environ, "TRUSTED_PROXIES", default.trusted_proxies, 0, 5),
            max_body_bytes=integer(environ, "MAX_BODY_BYTES", default.max_body_bytes, 0, 100 * 1024 * 1024),
            queue_limit=integer(environ, "QUEUE_LIMIT", default.queue_limit, 1, 1000),
            queue_seconds=integer(environ, "QUEUE_SECONDS", default.queue_seconds, 1, 300),
            cgroup_folder=_folder(environ, "CGROUP_FOLDER"),
            static_folder=_folder(environ, "STATIC_FOLDER"),
        )


def _folder(environ: Environment, name: str) -> Path | None:
    text = environ.get(name)
    if not text:
        return None
    if not os.path.isabs(text):  # noqa: PTH117 - asked of the text, before it is a path
        raise SettingsError(f"{name}={text!r} is not an absolute path: correct or unset it")
    return Path(text)


def _rates(environ: Environment) -> str:
    text = environ.get("RATE_LIMIT", "")
    try:
        if text:
            parse_many(text)
    except ValueError:
        raise SettingsError(f"RATE_LIMIT={text!r} is not a limit such as 100/minute: correct or unset it") from None
    return text


def _storage(environ: Environment, default: str) -> str:
    text = environ.get("RATE_LIMIT_STORAGE") or default
    if not _STORAGES.fullmatch(text):
        # Its address may hold a password, so the message doesn't hold it.
        raise SettingsError("RATE_LIMIT_STORAGE is not memory:// or an address redis://HOST:PORT: correct or unset it")
    return text
