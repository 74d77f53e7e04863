"""Each slow query beside the one that mends it: what was executed, how long that took, and the database's plan."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from sample_app.catalogue import queries, seed

_DEEP = seed.PRODUCTS // 10 * 9
_WORDS = ("quiet", "walnut", "clock")
_EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}
# Of many equal statements with different parameters one plan is enough.
_STATEMENTS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two ways to the same rows."""

    name: str
    lesson: str
    before: Callable[[Session], Any]
    after: Callable[[Session], Any]


@dataclass(slots=True)
class Run:
    """What one way cost: statements, milliseconds, and for each different statement its text and plan."""

    queries: int
    milliseconds: float
    statements: list[tuple[str, str]] = field(default_factory=list)


COMPARISONS = (
    Comparison(
        "A page with its categories and reviews",
        "Relations that load when they are touched cost a query each (N+1). Ask for all of them at once: joinedload "
        "for one row, selectinload for many.",
        lambda session: queries.page(session, None, 0, 20, naive=True),
        lambda session: queries.page(session, None, 0, 20),
    ),
    Comparison(
        "The reviews of a product",
        "Without an index on the column every row is read; so it is with an index that the query hides by a cast or a "
        "function, as here.",
        lambda session: session.scalars(queries.reviews_of_without_index(17)).all(),
        lambda session: session.scalars(queries.reviews_of(17)).all(),
    ),
    Comparison(
        "A page deep in the list",
        "OFFSET reads and drops all rows before the page. A page that begins after the last id seen (keyset) is found "
        "by the index, wherever it is.",
        lambda session: session.scalars(queries.products_skipping(None, _DEEP, 20)).all(),
        lambda session: session.scalars(queries.products_after(None, _DEEP, 20)).all(),
    ),
    Comparison(
        "Products by words of their names",
        "A pattern that begins with % reads every name. A table of words has an index that leads to those that begin "
        "so.",
        lambda session: session.scalars(queries.products_like(_WORDS, 0, 20)).all(),
        lambda session: session.scalars(queries.products_with(_WORDS, 0, 20)).all(),
    ),
)


def run(session: Session, way: Callable[[Session], Any]) -> Run:
    """Do it twice, the first time to warm up; measure the second and explain what it executed."""
    way(session)
    session.expire_all()
    session.expunge_all()
    executed: list[tuple[str, Any]] = []
    connection = session.connection()

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        executed.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    began = time.perf_counter()
    try:
        way(session)
        milliseconds = (time.perf_counter() - began) * 1000
    finally:
        event.remove(connection, "before_cursor_execute", note)
    different = list(dict(executed).items())[:_STATEMENTS_SHOWN]
    plans = [(statement, _plan(connection, statement, parameters)) for statement, parameters in different]
    return Run(len(executed), milliseconds, plans)


def _plan(connection: Connection, statement: str, parameters: Any) -> str:
    lines = connection.exec_driver_sql(_EXPLAIN[connection.dialect.name] + statement, parameters)
    return "\n".join(str(line[-1]) for line in lines)
