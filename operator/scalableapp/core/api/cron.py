"""When a cron expression fires, in a time zone whose clocks may be put forward and back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

# Clocks are put forward and back by at most 3 hours. CronSim counts in local time, so around such a moment its
# order is not that of UTC: search from beyond it and compare in UTC.
_CLOCK_CHANGE = timedelta(hours=3)
_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)


class Cron:
    """Five fields as in Debian's cron. A time that the clocks skip fires right after; one that comes twice fires once.

    Get one with `cron`: many apps share an expression, and its firings are searched once for all of them.
    """

    def __init__(self, expression: str, timezone: str) -> None:
        self._expression = _valid(expression)
        self._zone = _zone(timezone)
        self._around = (_ANY_DAY, _ANY_DAY)

    def last(self, now: datetime) -> datetime:
        """The last firing at or before `now`, in UTC."""
        return self._firings(now)[0]

    def next(self, now: datetime) -> datetime:
        """The first firing after `now`, in UTC."""
        return self._firings(now)[1]

    def text(self, at: datetime) -> str:
        """A moment in the expression's time zone, as people read it."""
        return f"{at.astimezone(self._zone):%Y-%m-%d %H:%M} {self._zone.key}"

    def _firings(self, now: datetime) -> tuple[datetime, datetime]:
        """The firings around `now`. Kept, since they stay the same until the next one and a search costs up to 1 ms."""
        last, following = self._around
        if not last <= now < following:
            self._around = last, following = self._search(now)
        return last, following

    def _search(self, now: datetime) -> tuple[datetime, datetime]:
        return (
            next(at for at in self._walk(now + _CLOCK_CHANGE, back=True) if at <= now),
            next(at for at in self._walk(now - _CLOCK_CHANGE, back=False) if at > now),
        )

    def _walk(self, start: datetime, *, back: bool) -> Iterator[datetime]:
        firings = CronSim(self._expression, start.astimezone(self._zone), reverse=back)
        return (at.astimezone(UTC) for at in firings)


@lru_cache(maxsize=4096)
def cron(expression: str, timezone: str) -> Cron:
    """Firings of the expression. Raises ValueError when it or the time zone is not valid, or when it never fires."""
    return Cron(expression, timezone)


def _valid(expression: str) -> str:
    if len(expression.split()) != 5:
        raise ValueError(
            f"{expression!r} is not a cron expression with five fields; "
            'write minute, hour, day of month, month and day of week, as in "0 8 * * MON-FRI"'
        )
    try:
        next(CronSim(expression, _ANY_DAY))
    except StopIteration as never:
        raise ValueError(f"{expression!r} never fires; choose a day that exists in the month") from never
    except (CronSimError, AssertionError, ValueError) as error:
        field = str(error).removeprefix("Bad ") or "value"
        raise ValueError(f"{expression!r} has an invalid {field}; correct it") from error
    return expression


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # OSError: the name of a folder of zones
        raise ValueError(f"{name!r} is not a time zone; write a name such as Europe/Paris or UTC") from error
