"""Whether the status in the cluster is still the one that the operator wrote. No I/O here."""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scalableapp.core.children.contest import StatusChange, recent
from scalableapp.core.tokens import TokenBucket

# Events of the watch may be as many writes behind.
_ECHOES = 8
# Somebody who insists is not fought at full speed.
REPAIRS_RATE = 1 / 30
REPAIRS_BURST = 5
# Ours have at most 30 kB. Of a longer one only the names of its fields are held, which is enough to write it again.
LONGEST_STATUS = 65_536


@dataclass(slots=True)
class OwnStatus:
    """Tells the echo of our own writes from what somebody else made of the status.

    `altered` is the status as somebody else left it, None once it is ours again; `changes` are those of a short while
    ago. `waits`: it has been written again so often that the next time has to wait.
    """

    altered: Mapping[str, Any] | None = None
    changes: tuple[StatusChange, ...] = ()
    waits: bool = False
    _written: deque[int] = field(default_factory=lambda: deque(maxlen=_ECHOES))
    _repairs: TokenBucket = field(default_factory=lambda: TokenBucket(REPAIRS_RATE, REPAIRS_BURST))

    def wrote(self, status: Mapping[str, Any]) -> None:
        """This is what we write, have written, or found at first: to read it is no news."""
        self._written.append(hash(_text(status)))
        if self.altered is not None and hash(_text(self.altered)) == self._written[-1]:
            self.altered = None

    def repaired(self) -> None:
        """It has been written again; what comes of it is read."""
        self.altered = None

    def seen(self, status: Mapping[str, Any], change: StatusChange | None) -> bool:
        """The status as it is in the cluster. Returns whether a turn has come by it.

        So it has when somebody else has changed it, which is `change`, and no repair waits already.
        """
        text, known = _text(status), self.altered is not None
        ours = hash(text) in self._written
        self.altered = None if ours else status if len(text) <= LONGEST_STATUS else dict.fromkeys(status)
        if change and not ours:
            self.changes = (*recent(self.changes, change.at), change)
        return not ours and not known

    def may_repair(self, now: datetime) -> bool:
        """Whether it is to be written again now."""
        self.waits = self.altered is not None and not self._repairs.take(now.timestamp())
        return self.altered is not None and not self.waits


def _text(status: Mapping[str, Any]) -> str:
    return json.dumps(status, sort_keys=True)
