"""The database is filled once, however many come first; its pool is as large as need be; and it may go away."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from sample_app.app import create_app
from sample_app.catalogue import database as module
from sample_app.catalogue import seed
from sample_app.catalogue.database import Database, NotReady
from sample_app.catalogue.models import Product
from sample_app.serving import Serving
from sample_app.settings import Settings
from sample_app.storing import Storing
from tests.sample_app import postgres_server
from tests.sample_app.conftest import PRODUCTS
from tests.sample_app.postgres_server import PostgresServer
from tests.sample_app.serving import APP_FOLDER

TIMEOUT_SECONDS = 120
COUNT_PRODUCTS = """
import sys
from sqlalchemy import func, select
from sample_app.catalogue.database import Database
from sample_app.catalogue.models import Product
with Database(sys.argv[1], 1).session() as session:
    print(session.scalar(select(func.count()).select_from(Product)))
"""


def counts(url: str, processes: int) -> list[int]:
    """What processes that start together on the same database count in it."""
    command = [sys.executable, "-c", COUNT_PRODUCTS, url]
    environment = {"PYTHONPATH": str(APP_FOLDER)}
    started = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(processes)]
    return [int(process.communicate(timeout=TIMEOUT_SECONDS)[0]) for process in started]


def test_processes_that_start_together_fill_a_file_once(tmp_path: Path) -> None:
    file = tmp_path / "new" / "catalogue.db"
    assert counts(f"sqlite:///{file}", 3) == [seed.PRODUCTS] * 3
    assert {path.name for path in file.parent.iterdir()} == {"catalogue.db", "catalogue.db.lock"}


def test_replicas_that_start_together_fill_postgresql_once(postgres: PostgresServer) -> None:
    url = postgres.new_database("first-start")
    assert counts(url, 3) == [seed.PRODUCTS] * 3
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT version FROM seed").fetchall() == [(seed.VERSION,)]


def test_both_databases_hold_the_same(sqlite_url: str, postgres_url: str) -> None:
    found = []
    for url in (sqlite_url, postgres_url):
        opened = Database(url, 1)
        with opened.session() as session:
            found.append(
                [
                    list(map(tuple, session.execute(select(*table.columns).order_by(*table.primary_key.columns))))
                    for table, _ in seed.rows(0)
                ]
            )
        opened.engine.dispose()
    assert found[0] == found[1]


def test_an_own_file_is_made_where_users_keep_what_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "SHIPPED", tmp_path / "not shipped")
    assert module._full("").database == str(tmp_path / "sample-app" / "catalogue-1.db")
    (tmp_path / "shipped").touch()
    monkeypatch.setattr(module, "SHIPPED", tmp_path / "shipped")
    assert module._full("").database == str(tmp_path / "shipped")


@pytest.mark.parametrize("given", ["postgres://u:p@h/d", "postgresql://u:p@h/d"])
def test_the_driver_is_ours_to_choose(given: str) -> None:
    made = module._full(given)
    assert (made.drivername, made.host, made.database) == ("postgresql+psycopg", "h", "d")


def test_the_file_cannot_be_written_through_the_application(sqlite_url: str) -> None:
    opened = Database(sqlite_url, 1)
    with pytest.raises(NotReady) as refusal, opened.session() as session:
        session.execute(text("DELETE FROM review"))
    assert isinstance(refusal.value.__cause__, OperationalError)
    opened.engine.dispose()


def test_the_pool_holds_as_many_connections_as_there_are_threads(database: Database) -> None:
    """Those that come first, too, while one of them looks whether the catalogue is there."""
    barrier = threading.Barrier(4, timeout=10)

    def work(_: int) -> int:
        with database.session() as session:
            total = session.scalar(select(func.count()).select_from(Product))
            barrier.wait()
            return total or 0

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(40))) == {PRODUCTS}
    assert database.engine.pool.status().startswith("Pool size: 4  Connections in pool: 4")


def test_who_gets_no_connection_in_time_is_told_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database.engine.pool, "_timeout", 0.05)
    held = [database.engine.connect() for _ in range(4)]
    with pytest.raises(NotReady), database.session() as session:
        session.scalar(select(func.count()).select_from(Product))
    for connection in held:
        connection.close()
    with database.session() as session:
        assert session.scalar(select(func.count()).select_from(Product)) == PRODUCTS


def test_a_statement_that_takes_too_long_is_ended(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._POSTGRES, "options", "-c statement_timeout=100")
    opened = Database(postgres_url, 1)
    with pytest.raises(NotReady), opened.session() as session:
        session.execute(text("SELECT pg_sleep(30)"))
    opened.engine.dispose()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """One that may be stopped."""
    server = postgres_server.new()
    yield server
    server.remove()


def test_a_database_that_is_away_is_waited_for_by_clients_not_by_threads(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(seed, "PRODUCTS", 100)
    monkeypatch.setattr(seed.fill, "__defaults__", (100,))
    url = own_postgres.new_database("comes-and-goes")
    own_postgres.stop()
    with caplog.at_level(logging.WARNING):
        app = create_app(Settings(storing=Storing(database_url=url), serving=Serving(demo=True)))
        client = app.test_client()
        assert [client.get("/products").status_code for _ in range(5)] == [503] * 5
    assert len(caplog.records) == 1
    assert client.get("/").status_code == 200
    own_postgres.start()
    catalogue = app.extensions["sample_app.catalogue"]
    catalogue._retry_at = 0.0
    assert client.get("/products").status_code == 200
    own_postgres.stop()
    assert client.get("/products?plan=after").status_code == 503
    assert client.get("/products").headers["X-Cache"] == "HIT"
    own_postgres.start()
    assert client.get("/products?plan=after").status_code == 200
    catalogue.engine.dispose()
