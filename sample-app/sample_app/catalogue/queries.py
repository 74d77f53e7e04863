"""What is read, each in two ways: as it comes to mind (`naive`), and as it should be. Both give the same answer.

Values in, plain values out; no request, no page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sqlalchemy import Select, String, cast, func, intersect, select
from sqlalchemy.orm import Session, joinedload, selectinload

from sample_app.catalogue.models import Category, Product, ProductWord, Review

Facts = dict[str, Any]

# What sorts after every letter, so that a range ends behind all words with a prefix.
_LAST = "\uffff"
MAX_WORDS = 3


@dataclass(frozen=True, slots=True)
class Page:
    """Products in the order of their ids, and the id after which the next page begins; None on the last one."""

    products: list[Facts]
    next_after: int | None


def categories(session: Session) -> list[Facts]:
    """All categories, in the order of their names."""
    found = session.execute(select(Category.slug, Category.name).order_by(Category.name))
    return [{"slug": slug, "name": name} for slug, name in found]


def category_id(session: Session, slug: str) -> int | None:
    """The id of a category; None for none."""
    return session.scalar(select(Category.id).where(Category.slug == slug))


def page(session: Session, category: int | None, after: int, limit: int, *, naive: bool = False) -> Page:
    """A page of all products or of one category.

    Naive: the category and the reviews of each product are loaded when they are touched, which is one query for the
    page and up to two for each product on it (N+1).
    """
    return _page(session, products_after(category, after, limit + 1), limit, naive=naive)


def products_after(category: int | None, after: int, limit: int) -> Select[Product]:
    """Keyset paging: the index leads to the first row, however far into the list it is."""
    found = select(Product).where(Product.id > after).order_by(Product.id).limit(limit)
    return found if category is None else found.where(Product.category_id == category)


def products_skipping(category: int | None, skipped: int, limit: int) -> Select[Product]:
    """The same by OFFSET, which reads and drops all rows before the page."""
    found = select(Product).order_by(Product.id).offset(skipped).limit(limit)
    return found if category is None else found.where(Product.category_id == category)


def search(session: Session, words: Sequence[str], after: int, limit: int, *, naive: bool = False) -> Page:
    """A page of the products whose names have words that begin so, all of them.

    Naive: every name is read and looked through.
    """
    found = products_like if naive else products_with
    return _page(session, found(words, after, limit + 1), limit, naive=naive)


def products_with(words: Sequence[str], after: int, limit: int) -> Select[Product]:
    """By the index of words, which the products then follow from: the table itself is read for the hits alone."""
    hits = [
        select(ProductWord.product_id).where(
            ProductWord.word >= word, ProductWord.word < word + _LAST, ProductWord.product_id > after
        )
        for word in words
    ]
    return select(Product).where(Product.id.in_(intersect(*hits))).order_by(Product.id).limit(limit)


def products_like(words: Sequence[str], after: int, limit: int) -> Select[Product]:
    """By a pattern that begins with anything: no index can help."""
    found = products_after(None, after, limit)
    for word in words:
        found = found.where((" " + func.lower(Product.name)).like(f"% {word}%"))
    return found


def detail(session: Session, product_id: int, *, naive: bool = False) -> Facts | None:
    """One product with its category, its reviews and what is related to it; None for none.

    Naive: the same again for each related product, one by one.
    """
    found = select(Product).where(Product.id == product_id)
    if not naive:
        found = found.options(
            joinedload(Product.category),
            selectinload(Product.reviews),
            selectinload(Product.related).options(joinedload(Product.category), selectinload(Product.reviews)),
        )
    product = session.scalar(found)
    if product is None:
        return None
    return _summary(product) | {
        "description": product.description,
        "reviews": [
            {"author": review.author, "stars": review.stars, "text": review.text, "written": review.written.isoformat()}
            for review in product.reviews
        ],
        "related": [_summary(other) for other in product.related],
    }


def reviews_of(product_id: int) -> Select[Review]:
    """The reviews of a product, by the index on whose they are."""
    return select(Review).where(Review.product_id == product_id)


def reviews_of_without_index(product_id: int) -> Select[Review]:
    """The same as if there were no index: none is on what the cast makes of the column."""
    return select(Review).where(cast(Review.product_id, String) == str(product_id))


def _page(session: Session, found: Select[Product], limit: int, *, naive: bool) -> Page:
    if not naive:
        found = found.options(joinedload(Product.category), selectinload(Product.reviews))
    products = list(session.scalars(found))
    more = len(products) > limit
    shown = products[:limit]
    return Page([_summary(product) for product in shown], shown[-1].id if more else None)


def _summary(product: Product) -> Facts:
    stars = [review.stars for review in product.reviews]
    return {
        "id": product.id,
        "name": product.name,
        "price_cents": product.price_cents,
        "category": {"slug": product.category.slug, "name": product.category.name},
        "stars": round(fmean(stars), 1) if stars else None,
        "reviews_count": len(stars),
    }
