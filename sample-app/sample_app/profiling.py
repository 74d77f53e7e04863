"""Profiles of real requests by cProfile: which are taken, and when; profiles.py keeps them.

cProfile is exact and costs about as much again as the request, so it is off until an operator of the app switches it
on for some minutes, and then takes one request in N, one at a time per process. The switch is a file that all workers
of the pod look at.
"""

import cProfile
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from sample_app.profiles import Store

MAX_SECONDS = 900
MAX_EVERY = 10_000
# Set by the application once it knows; a request without it is not worth a profile.
ROUTE = "sample_app.route"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """Profile one request in `every`, until `until` (seconds since the epoch)."""

    every: int
    until: float


class Switch:
    """The order in force, shared by the workers through a file."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = folder / "switch.json"
        self._clock = clock
        self._read: tuple[int, Order | None] = (0, None)

    def turn_on(self, every: int, seconds: int) -> Order:
        """Give an order, which ends by itself."""
        order = Order(every, self._clock() + seconds)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(f".{threading.get_native_id()}")
        draft.write_text(json.dumps(asdict(order)))
        draft.replace(self._file)  # no worker reads half of it
        return order

    def turn_off(self) -> None:
        """End the order before its time."""
        self._file.unlink(missing_ok=True)

    def order(self) -> Order | None:
        """The order in force; one stat of the file when nothing has changed."""
        try:
            written = self._file.stat().st_mtime_ns
            if written != self._read[0]:
                self._read = (written, Order(**json.loads(self._file.read_text())))
        except OSError:  # off, perhaps between the two
            return None
        order = self._read[1]
        return order if order and self._clock() < order.until else None


class Profiler:
    """WSGI middleware: serves every request, and profiles those that are due."""

    def __init__(self, app: WSGIApplication, switch: Switch, store: Store) -> None:
        self._app = app
        self._switch = switch
        self._store = store
        self._numbers = count()
        self._one_at_a_time = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request; a failure of the profiler never becomes one of the request."""
        order = self._switch.order()
        if order is None or next(self._numbers) % order.every or not self._one_at_a_time.acquire(blocking=False):
            return self._app(environ, start_response)
        try:
            return self._profiled(environ, start_response)
        finally:
            self._one_at_a_time.release()

    def _profiled(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        profile, began = cProfile.Profile(), time.perf_counter()
        if not enable_here(profile):
            return self._app(environ, start_response)
        try:
            return self._app(environ, start_response)
        finally:
            profile.disable()
            if route := environ.get(ROUTE):
                self._keep(profile, route, time.perf_counter() - began)

    def _keep(self, profile: cProfile.Profile, route: str, seconds: float) -> None:
        try:
            self._store.save(profile, route, seconds)
        except OSError:
            logger.exception("the profile of a request to %s was not kept", route)


def enable_here(profile: cProfile.Profile) -> bool:
    """Begin to profile this thread; False when another tool profiles the process, which happens with Python >= 3.12.

    From 3.12 on, cProfile listens to all threads (sys.monitoring): what others do at the same time would be mixed
    into the profile. So its listeners are put behind one that knows the thread.
    """
    try:
        profile.enable()
    except ValueError as error:
        logger.warning("no profile is taken: %s", error)
        return False
    if sys.version_info >= (3, 12):
        _keep_to_this_thread()
    return True


if sys.version_info >= (3, 12):

    def _keep_to_this_thread() -> None:
        """Wrap the callbacks that cProfile has registered; register_callback returns the one before."""
        tool, events = sys.monitoring.PROFILER_ID, sys.monitoring.events
        for event in (
            *(events.PY_START, events.PY_RESUME, events.PY_THROW, events.PY_RETURN, events.PY_YIELD),
            *(events.PY_UNWIND, events.CALL, events.C_RETURN, events.C_RAISE),
        ):
            if listener := sys.monitoring.register_callback(tool, event, None):
                sys.monitoring.register_callback(tool, event, _in_thread(threading.get_ident(), listener))

    def _in_thread(thread: int, listener: Callable[..., Any]) -> Callable[..., Any]:
        own = threading.get_ident

        def listen(*event: Any) -> Any:
            return listener(*event) if own() == thread else None

        return listen
