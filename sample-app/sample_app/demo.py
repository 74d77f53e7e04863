"""Load and faults to play with; served only with DEMO=1, as a stranger must not be able to burn CPU or fill memory."""

import mmap
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Blueprint, Response, abort, jsonify, request

from sample_app import cpu
from sample_app.identity import served_by
from sample_app.query import number

MAX_WORK_MS = 5000
DEFAULT_WORK_MS = 50
MAX_DELAY_MS = 10_000
DEFAULT_DELAY_MS = 1000
# Of one worker; two of them are beyond what the memory limit of most pods allows, which is what it is for.
MAX_MEMORY_MB = 1024
MAX_HOLD_SECONDS = 300
DEFAULT_HOLD_SECONDS = 30

faults = Blueprint("demo", __name__)
# Shared by the server and its forked workers, as drain's.
_disabled = mmap.mmap(-1, 1)


@faults.after_request
def _never_kept(response: Response) -> Response:
    response.cache_control.no_store = True
    return response


@faults.get("/work")
def work() -> Response:
    """Use `ms` milliseconds of CPU time; never cached."""
    wanted = number("ms", DEFAULT_WORK_MS, 0, MAX_WORK_MS, "milliseconds")
    began = time.perf_counter()
    used = cpu.burn(wanted / 1000)
    return jsonify(
        requested_ms=wanted,
        cpu_ms=round(used * 1000, 2),
        wall_ms=round((time.perf_counter() - began) * 1000, 2),
        **served_by(),
    )


@faults.get("/delay")
def delay() -> Response:
    """Hold a thread for `ms` milliseconds without using the CPU, as a slow database would."""
    wanted = number("ms", DEFAULT_DELAY_MS, 0, MAX_DELAY_MS, "milliseconds")
    time.sleep(wanted / 1000)
    return jsonify(delayed_ms=wanted, **served_by())


@faults.get("/memory")
def memory() -> Response:
    """Fill `mb` megabytes of this worker's memory and hold them for `seconds`."""
    wanted = number("mb", 64, 0, MAX_MEMORY_MB, "megabytes")
    seconds = number("seconds", DEFAULT_HOLD_SECONDS, 0, MAX_HOLD_SECONDS, "seconds")
    with _ballast.changing():
        if _ballast.megabytes() + wanted > MAX_MEMORY_MB:
            abort(409, f"{_ballast.megabytes()} MB are held, and this worker holds {MAX_MEMORY_MB} MB at most")
        _ballast.hold(wanted, seconds)
        held = _ballast.megabytes()
    return jsonify(added_mb=wanted, held_mb=held, for_seconds=seconds, **served_by())


@faults.get("/fault")
def fault() -> Response:
    """Fail with status 500 in the share `rate` of requests, from 0 to 1."""
    text = request.args.get("rate", "1")
    if not re.fullmatch(r"0(\.[0-9]{1,9})?|1(\.0{1,9})?", text):
        abort(400, f"rate={text[:40]!r} is not a share from 0 to 1, such as 0.25")
    if random.random() < float(text):  # noqa: S311 - no secret
        abort(500, "asked for by /fault")
    return jsonify(rate=float(text), **served_by())


@faults.route("/readyz/disable", methods=["GET", "POST"])
def disable() -> Response:
    """Make this pod say that it is not ready, in all its workers, until it is enabled."""
    _disabled[0] = 1
    return jsonify(status="disabled", **served_by())


@faults.route("/readyz/enable", methods=["GET", "POST"])
def enable() -> Response:
    """Make this pod ready again."""
    _disabled[0] = 0
    return jsonify(status="enabled", **served_by())


def disabled() -> bool:
    """Whether somebody has switched readiness off."""
    return _disabled[0] != 0


class Ballast:
    """Memory that is held for a while and then given back."""

    def __init__(self, later: Callable[[float, Callable[[], None]], None]) -> None:
        """`later` calls something after so many seconds."""
        self._later = later
        self._lock = threading.RLock()
        self._held: list[bytearray] = []

    @contextmanager
    def changing(self) -> Iterator[None]:
        """No other thread adds meanwhile."""
        with self._lock:
            yield

    def megabytes(self) -> int:
        """What is held now."""
        return sum(map(len, self._held)) >> 20

    def hold(self, megabytes: int, seconds: int) -> None:
        """Fill so much memory; zeros would stay one shared page until written."""
        weight = bytearray(b"\xa5" * (megabytes << 20))
        self._held.append(weight)
        self._later(seconds, lambda: self._release(weight))

    def _release(self, weight: bytearray) -> None:
        with self._lock:
            self._held = [other for other in self._held if other is not weight]


def _after(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


_ballast = Ballast(_after)
