"""A small catalogue in both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine

from sample_app.app import create_app
from sample_app.catalogue import seed
from sample_app.catalogue.database import Database
from sample_app.serving import Serving
from sample_app.settings import Settings
from sample_app.storing import Storing
from tests.sample_app import postgres_server
from tests.sample_app.conftest import PRODUCTS
from tests.sample_app.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = postgres_server.new()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def sqlite_url(catalogue_file: Path) -> str:
    return f"sqlite:///{catalogue_file}"


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    url = postgres.new_database("small")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        seed.fill(connection, PRODUCTS)
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url, threads=4)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def app(url: str) -> Iterator[Flask]:
    made = create_app(Settings(storing=Storing(database_url=url), serving=Serving(demo=True)))
    yield made
    made.extensions["sample_app.catalogue"].engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
