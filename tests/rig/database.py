"""The metadata database of a local Airflow: a SQLite file, or a separate PostgreSQL database."""

import atexit
import fcntl
import hashlib
import json
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from cryptography.fernet import Fernet
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from tests.rig.settings import REPOSITORY

CACHE = REPOSITORY / ".local" / "cache"

_templates: dict[str, str] = {}

Migrate = Callable[[str], None]
"""Runs `airflow db migrate` on the database with this URL."""


class Database(Protocol):
    """A metadata database."""

    url: str
    #: The URL for the API server.
    api_server_url: str

    def prepare(self, migrate: Migrate) -> None:
        """Create the database and its tables."""

    def drop(self) -> None:
        """Remove what `prepare` has created on a server."""


def database(url: str | None, home: Path) -> Database:
    """Return the database for a `database_url` argument: None means SQLite in the home directory."""
    return PostgresDatabase(url) if url else SQLiteDatabase(home / "airflow.db")


class SQLiteDatabase:
    """A file in AIRFLOW_HOME. A migration takes seconds, so a migrated empty file is cached and copied."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Without a timeout, a second writer fails at once with "database is locked".
        self.url = f"sqlite:///{path}?timeout=30"
        # The API server writes its action log in its event loop. If one of its own requests holds the lock, that
        # request needs the loop to commit. Both are blocked until the timeout ends (measured on Airflow 3.3.2).
        self.api_server_url = f"sqlite:///{path}?timeout=3"

    def prepare(self, migrate: Migrate) -> None:
        """Copy the migrated template, or migrate the file of an older Airflow."""
        marker = self.path.with_suffix(".version")
        if self.path.exists() and (not marker.exists() or marker.read_text() != airflow_key()):
            migrate(self.url)
        elif not self.path.exists():
            shutil.copyfile(_sqlite_template(migrate), self.path)
        marker.write_text(airflow_key())

    def drop(self) -> None:
        """Do nothing: the file is removed with the home directory."""


class PostgresDatabase:
    """A database with a unique name on a given server.

    Args:
        url: a URL of the server, such as postgresql://user@host/postgres. The user may create databases.
    """

    def __init__(self, url: str) -> None:
        self._server = make_url(url).set(drivername="postgresql+psycopg2")
        self.name = f"airflow_rig_{secrets.token_hex(6)}"
        self.url = self._server.set(database=self.name).render_as_string(hide_password=False)
        self.api_server_url = self.url

    def prepare(self, migrate: Migrate) -> None:
        """Create the database as a copy of a migrated one."""
        self._execute(f'CREATE DATABASE "{self.name}" TEMPLATE "{self._template(migrate)}"')

    def drop(self) -> None:
        """Drop the database, even if clients are still connected."""
        self._drop(self.name)

    def _template(self, migrate: Migrate) -> str:
        """Return the name of the migrated database that this Python process copies."""
        server = str(self._server)
        if server not in _templates:
            template = f"{self.name}_template"
            self._execute(f'CREATE DATABASE "{template}"')
            atexit.register(self._drop, template)
            migrate(self._server.set(database=template).render_as_string(hide_password=False))
            _templates[server] = template
        return _templates[server]

    def _drop(self, name: str) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        engine = create_engine(self._server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(statement))


def airflow_key() -> str:
    """Return a key of the versions of Airflow and its providers. It changes whenever the tables may."""
    versions = sorted(
        f"{name}={dist.version}"
        for dist in metadata.distributions()
        if (name := dist.metadata["Name"]).startswith("apache-airflow")
    )
    return hashlib.sha256("\n".join([*versions, sys.version]).encode()).hexdigest()[:16]


def run_migration(url: str, env: Mapping[str, str], log_path: Path) -> None:
    """Run `airflow db migrate`. If it fails, raise an error with the end of its output."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env={**env, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_path.write_text(done.stdout)
    if done.returncode:
        raise RuntimeError(f"airflow db migrate failed ({done.returncode}):\n{done.stdout[-4000:]}")


def trigger_rows(url: str, fernet_key: str) -> list[dict[str, Any]]:
    """Return the rows of the trigger table.

    `stored` is the raw kwargs column of the database, `kwargs` the same decrypted and parsed.
    """
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM trigger ORDER BY id")).mappings().all()
    return [_trigger_row(dict(row), Fernet(fernet_key)) for row in rows]


def _trigger_row(row: dict[str, Any], fernet: Fernet) -> dict[str, Any]:
    stored: str = row.pop("kwargs")
    plain = stored if stored.startswith("{") else fernet.decrypt(stored.encode()).decode()
    return {**row, "stored": stored, "kwargs": json.loads(plain)}


def _sqlite_template(migrate: Migrate) -> Path:
    template = CACHE / f"airflow-{airflow_key()}.db"
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / "lock"):
        if not template.exists():
            unfinished = template.with_suffix(".new")
            unfinished.unlink(missing_ok=True)
            migrate(f"sqlite:///{unfinished}")
            _use_write_ahead_log(unfinished)
            unfinished.rename(template)
    return template


def _use_write_ahead_log(path: Path) -> None:
    # In WAL mode, readers do not block the writer. The file itself stores the mode (https://sqlite.org/wal.html).
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
