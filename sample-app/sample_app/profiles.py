"""Profiles as files in the pod's own folder, bounded in number, size and age."""

import cProfile
import os
import pstats
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

MAX_PROFILES = 100
MAX_BYTES = 20 * 1024 * 1024
MAX_AGE_SECONDS = 3600.0
_NAME = re.compile(r"(?P<at>[0-9]{13})-(?P<us>[0-9]{1,12})us-(?P<pid>[0-9]{1,10})-(?P<route>[A-Za-z0-9%._~-]{1,200})")
_SUFFIX = ".pstats"


@dataclass(frozen=True, slots=True)
class Taken:
    """One profile: `at` in seconds since the epoch, `seconds` that the request took while it was profiled."""

    name: str
    at: float
    seconds: float
    worker: int
    route: str
    size: int


class Store:
    """The profiles of one pod. Workers write and trim it together, so any file may vanish at any time."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def save(self, profile: cProfile.Profile, route: str, seconds: float) -> None:
        """Keep a profile, and drop the oldest beyond the bounds. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{int(self._clock() * 1000):013d}-{int(seconds * 1e6)}us-{os.getpid()}-{quote(route, safe='')[:200]}"
        draft = self._folder / f"{name}.part"
        profile.dump_stats(draft)
        draft.replace(self._path(name))
        self._trim()

    def all(self) -> list[Taken]:
        """The profiles that are kept, newest first."""
        found = (_taken(file) for file in self._folder.glob(f"*{_SUFFIX}"))
        oldest = self._clock() - MAX_AGE_SECONDS
        return sorted((one for one in found if one and one.at >= oldest), key=lambda one: one.name, reverse=True)

    def content(self, name: str) -> bytes | None:
        """A profile as cProfile has written it; None when there is none of that name."""
        try:
            return self._path(name).read_bytes() if _NAME.fullmatch(name) else None
        except OSError:
            return None

    def stats(self, names: list[str]) -> pstats.Stats | None:
        """The sum of these profiles; None when none of them is there any more."""
        total: pstats.Stats | None = None
        for name in names:
            try:
                one = pstats.Stats(str(self._path(name))) if _NAME.fullmatch(name) else None
            except OSError:
                continue
            total = total.add(one) if total and one else total or one
        return total

    def clear(self) -> None:
        """Drop all profiles."""
        for file in self._folder.glob(f"*{_SUFFIX}"):
            file.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _trim(self) -> None:
        kept, size = {one.name: one for one in self.all()}, 0
        for number, one in enumerate(list(kept.values())):
            size += one.size
            if number >= MAX_PROFILES or size > MAX_BYTES:
                kept.pop(one.name)
        for file in self._folder.glob(f"*{_SUFFIX}"):
            if file.name.removesuffix(_SUFFIX) not in kept:
                file.unlink(missing_ok=True)


def _taken(file: Path) -> Taken | None:
    match = _NAME.fullmatch(file.name.removesuffix(_SUFFIX))
    try:
        size = file.stat().st_size
    except OSError:
        return None
    if not match:
        return None
    at, took = int(match["at"]) / 1000, int(match["us"]) / 1e6
    return Taken(match.string, at, took, int(match["pid"]), unquote(match["route"]), size)
