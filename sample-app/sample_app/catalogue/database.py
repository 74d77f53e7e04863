"""The database behind the catalogue: opened, filled on first use, with a pool as large as there are threads.

A process makes no connection before it has been forked: what fills the catalogue has an engine of its own.
SQLite is a file that never changes once it is made, so it is opened read-only and without locks, and lies well in an
image. PostgreSQL is filled by whoever comes first; the others wait.
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import URL, NullPool, QueuePool, create_engine, inspect, make_url, select, text
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from sample_app.catalogue import seed
from sample_app.catalogue.models import Seed

logger = logging.getLogger(__name__)

# In the image, made when it is built; elsewhere made on first use.
SHIPPED = Path(__file__).parents[2] / "catalogue.db"
# A request that gets no connection in this time is better told so than left waiting.
POOL_WAIT_SECONDS = 2.0
# Loading takes a few seconds; on a busy machine ten times that.
FILL_SECONDS = 60.0
# Any number, the same in all replicas: whoever holds PostgreSQL's lock of that number fills the tables.
_LOCK = 4807526976
RETRY_SECONDS = 5.0
_POSTGRES = {
    "connect_timeout": 2,
    # No page is worth more; the client has gone by then.
    "options": "-c statement_timeout=5000 -c lock_timeout=5000 -c application_name=sample-app",
}
# What an operator mends, not a programmer.
_AWAY = (OperationalError, InterfaceError, PoolTimeout)


class NotReady(Exception):
    """The catalogue is not there yet, or its database does not answer."""


class Database:
    """Sessions on the catalogue, for one process and those forked from it. Makes no connection until it is needed.

    Args:
        url: sqlite:///FILE, postgresql://..., or "" for the SQLite file that is shipped.
        threads: of the process that may ask at the same time.
    """

    def __init__(self, url: str, threads: int) -> None:
        self._url = _full(url)
        self._file = Path(self._url.database or "") if self._url.drivername == "sqlite" else None
        self.engine = create_engine(
            _read_only(self._file) if self._file else self._url,
            poolclass=QueuePool,
            # A thread that waits for a connection serves nobody, and one that nobody uses costs PostgreSQL memory.
            pool_size=threads,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS,
            pool_pre_ping=self._file is None,
            pool_recycle=-1 if self._file else 300,
            connect_args={} if self._file else _POSTGRES,
        )
        self._filled = False
        self._filling = threading.Lock()
        self._retry_at = 0.0
        self._quiet_until = 0.0

    @property
    def dialect(self) -> str:
        """Sqlite or postgresql."""
        return self.engine.dialect.name

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that reads. Raises NotReady when the database is away, busy or too slow."""
        self._fill_once()
        try:
            with Session(self.engine) as session:
                yield session
        except _AWAY as error:
            self._complain("The catalogue's database does not serve", error)
            raise NotReady from error

    def prepare(self) -> None:
        """Fill the catalogue if nobody has. When that cannot be done now it is logged, and requests try again."""
        with suppress(NotReady):
            self._fill_once()

    def _fill_once(self) -> None:
        """Who comes while another thread fills waits for a short while. Raises NotReady."""
        if self._filled:
            return
        if not self._filling.acquire(timeout=POOL_WAIT_SECONDS):
            raise NotReady
        try:
            if not self._filled:
                self._fill()
        finally:
            self._filling.release()

    def _fill(self) -> None:
        if time.monotonic() < self._retry_at:
            raise NotReady
        try:
            _fill_file(self._file) if self._file else _fill_postgres(self._url)
        except (OSError, SQLAlchemyError, TimeoutError) as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._complain("The catalogue cannot be filled, which is tried again", error)
            raise NotReady from error
        self._filled = True

    def _complain(self, what: str, error: Exception) -> None:
        """Now and then, as each request would say the same."""
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + RETRY_SECONDS
            logger.warning("%s: %s", what, _plain(error))


def _full(url: str) -> URL:
    if not url:
        return URL.create("sqlite", database=str(SHIPPED if SHIPPED.exists() else _own_file()))
    made = make_url(url)
    return made if made.drivername.startswith("sqlite") else made.set(drivername="postgresql+psycopg")


def _own_file() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "sample-app"
    return folder / f"catalogue-{seed.VERSION}.db"


def _read_only(file: Path) -> str:
    return f"sqlite:///file:{file.resolve()}?mode=ro&immutable=1&uri=true"


def _fill_file(file: Path) -> None:
    """Processes of one machine take turns; who comes later finds it done."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        _until(lambda: _locked(lock.fileno()))
        if not file.exists():
            seed.make_file(file)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fill_postgres(url: URL) -> None:
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": _POSTGRES["connect_timeout"]})
    with engine.begin() as connection:
        take = text("SELECT pg_try_advisory_xact_lock(:number)").bindparams(number=_LOCK)
        _until(lambda: bool(connection.scalar(take)))
        if inspect(connection).has_table(Seed.__tablename__) and connection.scalar(select(Seed.version)):
            return
        seed.fill(connection)


def _until(done: Callable[[], bool]) -> None:
    """Raises TimeoutError."""
    end = time.monotonic() + FILL_SECONDS
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"somebody else has been filling it for {FILL_SECONDS:.0f} s")
        time.sleep(0.1)


def _plain(error: Exception) -> str:
    """In one line; SQLAlchemy's own words add a link and the statement."""
    original = getattr(error, "orig", None) or error
    return " ".join(str(original).split())
