"""Opening the clinic's database: a SQLite file by default, PostgreSQL by URL; tables made and brought up to date.

SQLite runs in write-ahead mode with foreign keys on, and a transaction that will write says so at its start
(``BEGIN IMMEDIATE``): a reader that turns writer half-way cannot wait for its turn in SQLite.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session

from medsynth_app.clinical.database.tables import Base
from medsynth_app.errors import InvalidValueError, OverloadedError

logger = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
_SQLITE_WAIT_SECONDS = 30
_START_LOCK = 7_236_455
"""Any fixed number: PostgreSQL's advisory lock that lets one process at a time migrate and seed."""
_ONE_AT_A_TIME = Lock()
"""Alembic keeps the running migration in module variables: one thread at a time."""


class Database:
    """An open database whose tables are up to date; get one from `open_database`, filled from `seeding`.

    Args:
        engine: SQLAlchemy's engine.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one consistent state and writes nothing.

        Raises:
            OverloadedError: the database is away, or broken (503); so does ``writing``.
        """
        with self._answering(), Session(self.engine) as session:
            yield session
            session.rollback()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session whose changes are kept together at its end, or not at all."""
        with self._answering(), self.engine.connect().execution_options(medsynth_writes=True) as connection:
            with Session(connection) as session, session.begin():
                yield session
            connection.commit()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            if isinstance(error, OperationalError) or type(error) is DatabaseError:
                logger.error("the clinic's database failed: %s", type(error.orig).__name__)
                raise _unavailable(error, self.engine) from None
            raise  # a value that does not fit is a defect of ours

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_database(url: str | Path, fill: Callable[[Connection], object] = lambda connection: None) -> Database:
    """Open a database, creating or updating its tables.

    Args:
        url: ``sqlite:///FILE``, ``postgresql://USER@HOST/NAME``, or just a file name for SQLite.
        fill: writes what the tables must hold, in the transaction that makes them.

    Raises:
        InvalidValueError: the URL is not of a known kind.
        OverloadedError: the server does not answer, or the file is broken (503).
    """
    engine = _engine(_parsed(url))
    try:
        with _ONE_AT_A_TIME, engine.connect().execution_options(medsynth_writes=True) as connection:
            _lock_start(connection)
            migrate(connection)
            fill(connection)
            connection.commit()
    except DatabaseError as error:
        engine.dispose()
        # the driver's text holds host and file names: it goes to no caller
        logger.error("the clinic's database cannot be opened: %s", type(error.orig).__name__)
        raise _unavailable(error, engine) from None
    except BaseException:
        engine.dispose()
        raise
    return Database(engine)


def _unavailable(error: DatabaseError, engine: Engine) -> OverloadedError:
    """What every clinical question is answered with; nothing else of the server needs the database."""
    if isinstance(error, OperationalError):
        return OverloadedError(
            f"the clinic's database ({engine.dialect.name}) cannot be opened; check its URL and that it runs",
            code="database_unavailable",
        )
    return OverloadedError(
        f"the clinic's database ({engine.dialect.name}) is broken; put it aside or restore a copy of it. "
        "The rest of the server works",
        code="database_broken",
    )


def open_to_read(url: str | Path) -> Database:
    """A database as it is: nothing is created, updated or written, and nothing is checked.

    Raises:
        InvalidValueError: the URL is not of a known kind.
    """
    return Database(_engine(_parsed(url)))


def migrate(connection: Connection, revision: str = "head") -> None:
    """Bring the tables to a revision, inside the connection's transaction.

    Args:
        connection: open connection.
        revision: Alembic's revision, ``head`` for the newest.
    """
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(configuration)

    def steps(current: Any, _context: Any) -> Any:
        return scripts._upgrade_revs(revision, current)

    # run here rather than through an env.py: no file that works when imported, no second connection
    with EnvironmentContext(configuration, scripts, fn=steps, destination_rev=revision) as environment:
        environment.configure(connection=connection, target_metadata=Base.metadata)
        environment.run_migrations()


def _parsed(url: str | Path) -> URL:
    written = str(url)
    if "://" not in written:
        return URL.create("sqlite", database=written)
    try:
        parsed = make_url(written)
    except ArgumentError:
        raise InvalidValueError("database: the URL cannot be read; " + _ALLOWED) from None
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        raise InvalidValueError(f"database: {parsed.get_backend_name()!r} is not supported; " + _ALLOWED)
    return parsed


_ALLOWED = "allowed: sqlite:///FILE or postgresql://USER@HOST/NAME"


def _engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "postgresql":
            return create_engine(url, pool_pre_ping=True)
        if url.database not in (None, "", ":memory:"):
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": _SQLITE_WAIT_SECONDS})
    except NoSuchModuleError:
        raise InvalidValueError(f"database: {url.drivername!r} is not supported; " + _ALLOWED) from None
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # the driver's own BEGIN comes too late and leaves table changes outside the transaction
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("medsynth_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _lock_start(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _START_LOCK})
