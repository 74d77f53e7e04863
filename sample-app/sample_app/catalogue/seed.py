"""The data: the same for everybody, from a seeded generator, loaded in one transaction.

python -m sample_app.catalogue.seed FILE makes the SQLite file that an image carries.
"""

import random
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, create_engine, insert, text
from sqlalchemy.pool import NullPool

from sample_app.catalogue.models import Base, Category, Product, ProductWord, Review, Seed, related_products

# A change of what is generated needs another version: a database that holds an older one is not touched.
VERSION = 1
PRODUCTS = 20_000
_REVIEWS_EACH = (0, 4)
_RELATED_EACH = 2
_ROWS_AT_ONCE = 5_000
_FIRST_DAY = date(2020, 1, 1)

_KINDS = [
    "Lamp",
    "Chair",
    "Table",
    "Shelf",
    "Mug",
    "Bowl",
    "Vase",
    "Clock",
    "Basket",
    "Blanket",
    "Cushion",
    "Mirror",
    "Stool",
    "Rug",
    "Tray",
    "Jar",
    "Candle",
    "Frame",
]
_LOOKS = [
    "Amber",
    "Quiet",
    "Tall",
    "Round",
    "Folded",
    "Bright",
    "Plain",
    "Heavy",
    "Little",
    "Northern",
    "Woven",
    "Smoked",
    "Painted",
    "Hollow",
    "Soft",
    "Bold",
]
_STUFFS = [
    "Oak",
    "Linen",
    "Steel",
    "Glass",
    "Clay",
    "Wool",
    "Birch",
    "Copper",
    "Cork",
    "Marble",
    "Cotton",
    "Brass",
    "Walnut",
    "Paper",
    "Stone",
    "Rattan",
]
_ROOMS = ["Kitchen", "Bedroom", "Hall", "Study", "Bathroom", "Garden", "Workshop", "Nursery"]
_AUTHORS = [
    "Ada",
    "Alan",
    "Barbara",
    "Dennis",
    "Edsger",
    "Frances",
    "Grace",
    "Guido",
    "John",
    "Ken",
    "Leslie",
    "Margaret",
    "Niklaus",
    "Radia",
    "Tim",
]
_VERDICTS = ["Holds what it says.", "Smaller than I thought.", "Bought a second one.", "The colour is another one.",
             "Arrived late, but well packed.", "Would not miss it."]  # fmt: skip

Row = dict[str, Any]


def rows(products: int = PRODUCTS) -> Iterator[tuple[Table, Iterator[Row]]]:
    """All tables with their rows, in an order in which references are there before they are used."""
    names = _names(products)
    yield _table(Category), ({"id": n, "slug": room.lower(), "name": room} for n, room in enumerate(_ROOMS, 1))
    yield _table(Product), _products(names)
    yield _table(Review), _reviews(products)
    yield related_products, _related(products)
    yield _table(ProductWord), _words(names)
    yield _table(Seed), iter([{"version": VERSION}])


def fill(connection: Connection, products: int = PRODUCTS) -> None:
    """Make the tables, load them, and let the database count them; the caller commits."""
    Base.metadata.create_all(connection)
    load = _copy if connection.dialect.name == "postgresql" else _insert
    for table, content in rows(products):
        load(connection, table, content)
    connection.execute(text("ANALYZE"))


def make_file(file: Path, products: int = PRODUCTS) -> None:
    """Write a SQLite file, all or nothing. Raises OSError."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{part}", poolclass=NullPool)
    with engine.begin() as connection:
        fill(connection, products)
    part.replace(file)


def _insert(connection: Connection, table: Table, content: Iterator[Row]) -> None:
    for batch in _batches(content):
        connection.execute(insert(table), batch)


def _copy(connection: Connection, table: Table, content: Iterator[Row]) -> None:
    """By COPY, which takes a third of the time of INSERT."""
    columns = [column.name for column in table.columns]
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in content:
            copy.write_row([row[column] for column in columns])


def _batches(content: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(content, _ROWS_AT_ONCE)):
        yield batch


def _chance(what: str) -> random.Random:
    return random.Random(what)  # noqa: S311 - the same numbers for everybody are the point


def _table(model: type[Base]) -> Table:
    table: Any = model.__table__
    return table  # type: ignore[no-any-return]


def _names(products: int) -> list[str]:
    chance = _chance("names")
    return [f"{chance.choice(_LOOKS)} {chance.choice(_STUFFS)} {chance.choice(_KINDS)}" for _ in range(products)]


def _products(names: list[str]) -> Iterator[Row]:
    chance = _chance("products")
    for number, name in enumerate(names, 1):
        room = chance.randrange(len(_ROOMS))
        yield {
            "id": number,
            "name": name,
            "description": f"{name} for the {_ROOMS[room].lower()}, number {number} of its series. " * 3,
            "price_cents": chance.randrange(500, 50_000, 5),
            "category_id": room + 1,
        }


def _reviews(products: int) -> Iterator[Row]:
    chance = _chance("reviews")
    number = 0
    for product in range(1, products + 1):
        for _ in range(chance.randint(*_REVIEWS_EACH)):
            number += 1
            yield {
                "id": number,
                "product_id": product,
                "author": chance.choice(_AUTHORS),
                "stars": chance.randint(1, 5),
                "text": chance.choice(_VERDICTS),
                "written": _FIRST_DAY + timedelta(days=chance.randrange(2000)),
            }


def _related(products: int) -> Iterator[Row]:
    chance = _chance("related")
    for product in range(1, products + 1):
        others = {chance.randint(1, products) for _ in range(_RELATED_EACH)} - {product}
        yield from ({"product_id": product, "related_id": other} for other in sorted(others))


def _words(names: list[str]) -> Iterator[Row]:
    for number, name in enumerate(names, 1):
        yield from ({"word": word, "product_id": number} for word in sorted(set(name.lower().split())))


if __name__ == "__main__":
    make_file(Path(sys.argv[1]))
