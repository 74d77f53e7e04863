"""The slow way and the good way give the same rows, at another cost."""

from itertools import count, takewhile
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.orm import Session

from sample_app.catalogue import plans, queries, seed
from sample_app.catalogue.database import Database
from tests.sample_app.conftest import PRODUCTS

SAME_FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
NAMES = seed._names(PRODUCTS)


def statements(database: Database, way: Any) -> int:
    executed: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: executed.append(arguments[2]))
    with database.session() as session:
        way(session)
    return len(executed)


@SAME_FIXTURE
@given(after=st.integers(0, PRODUCTS + 5), limit=st.integers(1, 30), category=st.none() | st.integers(1, 9))
def test_a_page_is_the_same_in_both_ways(database: Database, after: int, limit: int, category: int | None) -> None:
    with database.session() as session:
        good = queries.page(session, category, after, limit)
    with database.session() as session:
        assert queries.page(session, category, after, limit, naive=True) == good


@SAME_FIXTURE
@given(number=st.integers(1, PRODUCTS + 3))
def test_a_product_is_the_same_in_both_ways(database: Database, number: int) -> None:
    with database.session() as session:
        good = queries.detail(session, number)
    with database.session() as session:
        assert queries.detail(session, number, naive=True) == good


@SAME_FIXTURE
@given(words=st.lists(st.text("abcdeghklmnoqrstuwz0", min_size=1, max_size=3), min_size=1, max_size=3))
def test_a_search_finds_the_names_whose_words_begin_so(database: Database, words: list[str]) -> None:
    expected = [
        number
        for number, name in enumerate(NAMES, 1)
        if all(any(part.startswith(word) for part in name.lower().split()) for word in words)
    ]
    with database.session() as session:
        for naive in (False, True):
            found = queries.search(session, words, 0, 50, naive=naive)
            assert [product["id"] for product in found.products] == expected[:50]
            assert (found.next_after is None) is (len(expected) <= 50)


def test_the_pages_are_all_products_once_each(database: Database) -> None:
    seen, after = [], 0
    with database.session() as session:
        for _ in takewhile(lambda turn: turn < 100, count()):
            page = queries.page(session, 3, after, 37)
            seen += [product["id"] for product in page.products]
            if page.next_after is None:
                break
            after = page.next_after
        everything = session.scalars(queries.products_after(3, 0, PRODUCTS)).all()
    assert seen == [product.id for product in everything]


@pytest.mark.parametrize(
    ("way", "good", "naive"),
    [
        (lambda naive: lambda session: queries.page(session, None, 0, 20, naive=naive), 2, 25),
        (lambda naive: lambda session: queries.detail(session, 17, naive=naive), 4, 6),
    ],
    ids=["a page", "a product"],
)
def test_relations_are_loaded_at_once_or_one_by_one(database: Database, way: Any, good: int, naive: int) -> None:
    assert statements(database, way(False)) == good
    assert statements(database, way(True)) >= naive


# What the plans say in each database when all rows are read, and when an index leads to them.
SCANS = {"sqlite": "SCAN", "postgresql": "Seq Scan"}


@pytest.mark.parametrize("number", [1, 3], ids=["reviews", "search"])
def test_the_plans_show_the_scan_and_the_index(database: Database, number: int) -> None:
    comparison = plans.COMPARISONS[number]
    with database.session() as session:
        before, after = plans.run(session, comparison.before), plans.run(session, comparison.after)
    assert (before.queries, after.queries) == (1, 1)
    (_, slow), (_, fast) = before.statements[0], after.statements[0]
    if number == 1:
        assert f"{SCANS[database.dialect]} " in slow
    assert "ndex" in fast or "INDEX" in fast or "PRIMARY KEY" in fast
    assert slow != fast


@pytest.mark.parametrize("comparison", plans.COMPARISONS, ids=lambda one: one.name)
def test_both_ways_of_a_comparison_give_the_same(database: Database, comparison: plans.Comparison) -> None:
    def ids(found: Any) -> list[int]:
        return sorted(one["id"] if isinstance(one, dict) else one.id for one in getattr(found, "products", found))

    with Session(database.engine) as session:
        assert ids(comparison.before(session)) == ids(comparison.after(session))
