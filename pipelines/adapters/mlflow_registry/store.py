"""The SQLite file behind MLflow: made once, by one process, and in one piece.

MLflow itself builds a fresh store table by table in place. Eight processes that open one at the same time break it, and
so does a kill in the middle.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlparse

from filelock import FileLock, Timeout

from pipelines.adapters.mlflow_registry.client import quiet
from pipelines.adapters.mlflow_registry.failures import broken
from pipelines.errors import BadProject, Busy

_TRIGGER = "turnout_artifact_root"
_BUSY_SECONDS = 20.0
_LOCK_SECONDS = 120.0
# Where MLflow keeps absolute places.
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


class Store:
    """The file `mlflow.db` and the folder `artifacts` in a project's state folder.

    Args:
        state: The state folder; made when it is needed.
    """

    def __init__(self, state: Path) -> None:
        self.state = state.resolve()
        self.database = self.state / "mlflow.db"
        self.artifacts = self.state / "artifacts"

    @property
    def uri(self) -> str:
        """MLflow's URI of the store.

        Raises:
            BadProject: the folder's path cannot be written as one.
        """
        # SQLAlchemy takes ? for a query and decodes %41, MLflow makes folders of the undecoded path.
        if re.search(r"\?|%[0-9a-fA-F]{2}", str(self.database)):
            raise BadProject(
                f"MLflow cannot open a store in {self.state}",
                instead="the path of a project has no ? and no %-code",
                then="Rename the folder.",
            )
        return f"sqlite:///{self.database}"

    @property
    def exists(self) -> bool:
        """Whether there is a store."""
        # An empty file is what a person's `touch` or `sqlite3` leaves behind.
        return self.database.exists() and self.database.stat().st_size > 0

    def ensure(self) -> None:
        """Make the store when there is none, and its places right when the project was moved.

        Raises:
            BadProject: as `uri` says; nothing was made.
        """
        _ = self.uri
        self.state.mkdir(parents=True, exist_ok=True)
        if not self.exists:
            with self.locked("mlflow.lock"):
                if not self.exists:
                    self._create()
        self._follow()

    def _follow(self) -> None:
        if self._root() != self.artifacts.as_uri():
            with self.locked("mlflow.lock"):
                self._settle()

    @contextmanager
    def locked(self, name: str = "registry.lock") -> Iterator[None]:
        """Keep other processes out.

        Raises:
            Busy: another one did not leave within two minutes.
        """
        lock = FileLock(self.state / name, timeout=_LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout:
            raise Busy(
                f"another process holds {self.state / name}", then="Call again when the other one is done."
            ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to the store, which exists, that sees one moment of it."""
        self._follow()
        with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as base:
            base.row_factory = sqlite3.Row
            base.execute("BEGIN")
            yield base

    def local_path(self, uri: str) -> Path | None:
        """The path of a place that MLflow names, None when it is not on this machine."""
        parsed = urlparse(uri)
        if parsed.scheme == "file":
            return Path(unquote(parsed.path))
        return None if parsed.scheme else Path(uri)

    def _root(self) -> str | None:
        """Where artifacts go by default, as the store has it; None when it does not say."""
        with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as base:
            row = base.execute(
                "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (_TRIGGER,)
            ).fetchone()
        found = re.search(r"= '((?:[^']|'')*)/' \|\|", row[0]) if row else None
        return found.group(1).replace("''", "'") if found else None

    def _create(self) -> None:
        new = self.database.with_name("mlflow.db.new")
        for leftover in (new, new.with_name(f"{new.name}-journal")):
            leftover.unlink(missing_ok=True)
        try:
            with quiet():
                from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

                made = SqlAlchemyStore(f"sqlite:///{new}", self.artifacts.as_uri())
                made.engine.dispose()
            with closing(sqlite3.connect(new)) as base, base:
                self._point(base)
            new.replace(self.database)
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def _settle(self) -> None:
        """Send new artifacts below the state folder, and correct the places of old ones when it was moved."""
        before = self._root()
        with closing(sqlite3.connect(self.database, timeout=_BUSY_SECONDS)) as base, base:
            base.execute("BEGIN IMMEDIATE")
            known = {row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if missing := {table for table, _ in _PLACES} - known:
                raise broken(self.database, f"it has no table {', '.join(sorted(missing))}")
            base.execute(f"DROP TRIGGER IF EXISTS {_TRIGGER}")
            for table, column in _PLACES if before else ():
                self._move(base, table, column, f"{before}/")
            self._point(base)

    def _move(self, base: sqlite3.Connection, table: str, column: str, before: str) -> None:
        base.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
            (f"{self.artifacts.as_uri()}/", len(before) + 1, len(before), before),
        )

    def _point(self, base: sqlite3.Connection) -> None:
        # MLflow derives an experiment's place from the client's working folder (./mlruns): it inserts the experiment
        # without a place, then updates it. A place given by hand is there from the insert on, and is left alone.
        root = self.artifacts.as_uri().replace("'", "''")
        base.execute(
            f"CREATE TRIGGER {_TRIGGER} AFTER UPDATE OF artifact_location ON experiments "  # noqa: S608
            "WHEN OLD.artifact_location IS NULL AND NEW.artifact_location IS NOT NULL BEGIN "
            f"UPDATE experiments SET artifact_location = '{root}/' || NEW.experiment_id "
            "WHERE experiment_id = NEW.experiment_id; END"
        )
