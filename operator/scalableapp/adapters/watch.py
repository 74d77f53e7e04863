"""A lean watch on labelled objects of one kind.

Unlike Kopf's watches this one also tells of what was deleted while it was not looking, and waits where the cluster
does not serve the kind at all.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from scalableapp.adapters.kube_api import Denied, Expired, KubeApi, Request
from scalableapp.errors import ClusterError, NotFound, Unavailable

log = logging.getLogger(__name__)

# The server ends a watch after so long; spread, so that not all clients come back together.
WATCH_SECONDS = (15, 20)
# So silence beyond that means a dead connection. Bookmarks are no sign of life: of a kind without news none come.
SILENCE_SECONDS = 25.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 2.0
# A kind that is not served comes when somebody installs it.
_ABSENT_SECONDS = 30.0
# A watch that cannot be had for so long is given up: whoever acts on what it reports must not go on.
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as it is now."""

    body: Any


@dataclass(frozen=True, slots=True)
class Gone:
    """An object that was seen before and is no more."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Unserved:
    """The cluster does not serve this kind, or will not let us see it, for that `reason`. It is asked again."""

    reason: str
    denied: bool


class Listed:
    """All existing objects have been reported. Comes after each full list, the first time and after a gap."""


Change = Seen | Gone | Listed | Unserved


class Watch:
    """Watches objects that bear a label. `path` is their collection's, `what` their name in the log.

    A kind that is not served or denied is an error where it is `required`, and else reported as Unserved.
    """

    def __init__(self, api: KubeApi, path: str, what: str, labels: str, *, required: bool = False) -> None:
        self._api = api
        self._path = path
        self._what = what
        self._labels = labels
        self._required = required
        self._known: set[tuple[str, str]] = set()
        self._version = ""
        self._pause = _FIRST_PAUSE_SECONDS
        self._failing_since: float | None = None
        self._logged = False

    async def changes(self) -> AsyncIterator[Change]:
        """What happens to the objects, without end: what fails is tried again with back-off.

        Raises Unavailable when nothing but errors came for PATIENCE_SECONDS.
        """
        while True:
            try:
                async for change in self._round():
                    yield change
            except Expired:
                self._version = ""
            except (NotFound, Denied) as error:
                missing = isinstance(error, NotFound)
                self._version = "" if missing else self._version
                if self._required:
                    self._failed(error)
                else:
                    yield Unserved(str(error), denied=not missing)
                    self._pause = _ABSENT_SECONDS if missing else self._pause
            except ClusterError as error:
                self._failed(error)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                self._version = ""
                self._failed(Unavailable(f"the answer cannot be read: {error!r}"))
            await self._back_off()

    def _failed(self, error: ClusterError) -> None:
        """Log the first of a row of errors; raise Unavailable when the row has become too long."""
        if not self._logged:
            log.warning("The watch on %s broke and is tried again: %s", self._what, error)
            self._logged = True
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since >= PATIENCE_SECONDS:
            raise Unavailable(f"the watch on {self._what} has failed for {now - self._failing_since:.0f} s: {error}")

    def _opened(self) -> None:
        self._failing_since = None

    def _works(self) -> None:
        self._pause = _FIRST_PAUSE_SECONDS
        if self._logged:
            log.info("The watch on %s works again", self._what)
            self._logged = False

    async def _round(self) -> AsyncIterator[Change]:
        """One watch to its end, with a list before it where one is needed."""
        if not self._version:
            async for change in self._list():
                yield change
            yield Listed()
        async for change in self._watch():
            yield change
        self._works()

    async def _list(self) -> AsyncIterator[Change]:
        found: set[tuple[str, str]] = set()
        version = ""
        async for page in self._api.pages(Request("GET", self._path, {"labelSelector": self._labels})):
            version = page["metadata"]["resourceVersion"]
            for body in page.get("items") or ():
                found.add(_place(body))
                yield self._seen(body)
        lost, self._known = self._known - found, found
        for place in lost:
            yield Gone(*place)
        self._version = version

    async def _watch(self) -> AsyncIterator[Change]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": self._labels,
            "resourceVersion": self._version,
            "timeoutSeconds": str(random.randint(*WATCH_SECONDS)),  # noqa: S311 - jitter is no secret
        }
        async for entry in self._api.lines(Request("GET", self._path, query), SILENCE_SECONDS, self._opened):
            kind, body = entry["type"], entry["object"]
            if kind == "ERROR":
                # Whatever the server's reason, a fresh list is right; 410 is the usual one.
                raise Expired(f"the watch on {self._what} ended: {body.get('message', body)}")
            self._version = body["metadata"]["resourceVersion"]
            self._works()
            if kind == "DELETED":
                self._known.discard(_place(body))
                yield Gone(*_place(body))
            elif kind != "BOOKMARK":
                yield self._seen(body)

    def _seen(self, body: Any) -> Seen:
        self._known.add(_place(body))
        return Seen(body)

    async def _back_off(self) -> None:
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret
        self._pause = min(_LONGEST_PAUSE_SECONDS, self._pause * 2)


def _place(body: Any) -> tuple[str, str]:
    return body["metadata"].get("namespace", ""), body["metadata"]["name"]
