"""What an Ingress asks for by annotations, with the names and defaults of F5's NGINX Ingress Controller.

So an Ingress works on that one as it does here. What is not known here, or wrong, is told and left out.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

PREFIX = "nginx.org/"
METHODS = ("round_robin", "least_conn")
_LIMIT = f"{PREFIX}limit-req-"
_CLIENT = "${binary_remote_addr}"
_RATE = re.compile(r"^([1-9]\d*)r/([sm])$")
_PER_SECOND = {"s": 1.0, "m": 1 / 60}
_CODE = re.compile(r"^[45]\d\d$")
_COUNT = re.compile(r"^\d{1,7}$")
_BOOLEANS = {"true": True, "false": False}
# scale divides by the number of the controller's pods, and here that is one; the last two are fixed for all zones.
_LIMIT_KEYS = ("rate", "key", "burst", "no-delay", "delay", "reject-code", "scale", "zone-size", "log-level")

Report = Callable[[str], None]


def route_settings(annotations: Mapping[str, str], zone: str, report: Report) -> dict[str, Any]:
    """What goes into the routes of an Ingress; `report` is told in words what cannot be done.

    `method` always; where they are asked for, `close` (no connection to a pod is used twice) and `limit`: zone, rate
    per second, burst, delay (requests of the burst that need not wait) and code.
    """
    read = _Reader(annotations, report)
    settings: dict[str, Any] = {"method": read.one_of("lb-method", METHODS)}
    if read.count("keepalive", 1) == 0:
        settings["close"] = True
    if limit := _limit(read, zone):
        settings["limit"] = limit
    return settings


def redirects(annotations: Mapping[str, str], report: Report) -> bool:
    """Whether plain HTTP is redirected where there is a certificate."""
    return _Reader(annotations, report).boolean("ssl-redirect", default=True)


def _limit(read: "_Reader", zone: str) -> dict[str, Any] | None:
    rate = read.text("limit-req-rate")
    if rate is None:
        return None
    match = _RATE.match(rate)
    if match is None:
        read.bad("limit-req-rate", "a rate such as 10r/s or 30r/m; requests are not limited")
        return None
    read.only_known_limits()
    burst = read.count("limit-req-burst", 0)
    delay = burst if read.boolean("limit-req-no-delay", default=False) else read.count("limit-req-delay", 0)
    return {
        "zone": zone,
        "rate": int(match[1]) * _PER_SECOND[match[2]],
        "burst": burst,
        "delay": delay,
        "code": read.code("limit-req-reject-code", 429),
    }


class _Reader:
    """Annotations by name without prefix; what is wrong is told, and the default taken."""

    def __init__(self, annotations: Mapping[str, str], report: Report) -> None:
        self._annotations = annotations
        self._report = report

    def text(self, name: str) -> str | None:
        return self._annotations.get(PREFIX + name)

    def bad(self, name: str, wanted: str) -> None:
        self._report(f"{PREFIX}{name}: {self.text(name)!r} is not {wanted}")

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        found = self.text(name)
        if found is not None and found not in choices:
            self.bad(name, f"one of {', '.join(choices)}")
        return found if found in choices else choices[0]

    def count(self, name: str, default: int) -> int:
        found = self.text(name)
        if found is not None and not _COUNT.match(found):
            self.bad(name, "a number")
            return default
        return default if found is None else int(found)

    def code(self, name: str, default: int) -> int:
        found = self.text(name)
        if found is not None and not _CODE.match(found):
            self.bad(name, "a status from 400 to 599")
            return default
        return default if found is None else int(found)

    def boolean(self, name: str, *, default: bool) -> bool:
        found = self.text(name)
        if found is not None and found not in _BOOLEANS:
            self.bad(name, "true or false")
        return _BOOLEANS.get(found or "", default)

    def only_known_limits(self) -> None:
        """Tell of limits by something else than here."""
        if self.text("limit-req-key") not in (None, _CLIENT):
            self.bad("limit-req-key", f"{_CLIENT}, the only key that is known here; requests are limited by it")
        for name in sorted(self._annotations):
            if name.startswith(_LIMIT) and name.removeprefix(_LIMIT) not in _LIMIT_KEYS:
                self._report(f"{name} is not known here and is passed over")
