"""The tables. Each index is there for a query, which is named beside it."""

from datetime import date

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

# Ranges of words are ranges of their bytes: in most other orders PostgreSQL could not use the index for a prefix.
_WORD = String(40).with_variant(String(40, collation="C"), "postgresql")


class Base(DeclarativeBase):
    """All tables of the catalogue."""


related_products = Table(
    "related_product",
    Base.metadata,
    Column("product_id", ForeignKey("product.id"), primary_key=True),
    Column("related_id", ForeignKey("product.id"), primary_key=True),
)


class Category(Base):
    """What products are grouped by."""

    __tablename__ = "category"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(80))


class Product(Base):
    """What is sold. Relations load when they are touched, unless a query says otherwise: that is the trap to show."""

    __tablename__ = "product"
    # A page of one category, in the order of ids.
    __table_args__ = (Index("product_by_category", "category_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text)
    price_cents: Mapped[int]
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id"))

    category: Mapped[Category] = relationship()
    reviews: Mapped[list["Review"]] = relationship(order_by="Review.id")
    related: Mapped[list["Product"]] = relationship(
        secondary=related_products,
        primaryjoin=lambda: Product.id == related_products.c.product_id,
        secondaryjoin=lambda: Product.id == related_products.c.related_id,
        order_by="Product.id",
        viewonly=True,
    )


class Review(Base):
    """What a customer says of a product."""

    __tablename__ = "review"

    id: Mapped[int] = mapped_column(primary_key=True)
    # The reviews of one product.
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    author: Mapped[str] = mapped_column(String(60))
    stars: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    written: Mapped[date]


class ProductWord(Base):
    """The words of products' names: the products of a word, or of its first letters, without reading all names."""

    __tablename__ = "product_word"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - as SQLAlchemy wants it

    word: Mapped[str] = mapped_column(_WORD, primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True)


class Seed(Base):
    """One row: which data stand in the tables. It is written last."""

    __tablename__ = "seed"

    version: Mapped[int] = mapped_column(Integer, primary_key=True)
