"""Reads the logs of a project's hosts, gateway and daemon; no daemon is needed for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.errors import BadInput, StorageFailed
from pipelines.values import VersionRef, read_ref
from pipelines.values.logs import LEVELS, LogRecord

LONGEST_MESSAGE = 10_000
"""Characters; what is longer is cut, and says so."""
_LONGEST_TRACEBACK = 500
_ATTEMPTS = 3
_TAIL_BYTES = 512

# Not of ours: the gateway's own, and what a host's own logging may look like. Both write the time of this machine.
_GATEWAY = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})\]\[\d+\]\[(\w+)\]\[([\w.-]+)\] ?(.*)", re.DOTALL)
_PLAIN = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)", re.DOTALL)
_GATEWAY_LEVELS = {"trace": "DEBUG", "debug": "DEBUG", "warning": "WARNING", "error": "ERROR", "critical": "CRITICAL"}
_FAILED = re.compile(r"(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Failed|Interrupt)\b")
_WARNED = re.compile(r"(?:\S+:\d+: )?\w*Warning\b|warning\b", re.IGNORECASE)
_TRACEBACK = "Traceback (most recent call last)"


class LogFiles:
    """The logs below a folder, each `NAME.log` with its cut part `NAME.log.1`.

    Args:
        folder: Where they lie; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sources(self, ref: VersionRef | None = None) -> list[str]:
        """The names of the logs there are: that of a version, or of all versions, the gateway and the daemon."""
        names = {path.name.removesuffix(".1").removesuffix(".log") for path in self._folder.glob("*.log*")}
        known = sorted(name for name in names if name in ("daemon", "gateway") or _is_version(name))
        return [name for name in known if ref is None or name == str(ref)]

    def read(self, source: str, last_bytes: int | None = None) -> list[LogRecord]:
        """All messages of a log in their order, what was cut before it first.

        Args:
            source: Its name.
            last_bytes: Read no more than so much of its end.

        Raises:
            StorageFailed: it cannot be read.
        """
        data = self._content(source)
        if last_bytes is not None and len(data) > last_bytes:
            data = data[-last_bytes:].partition(b"\n")[2]
        if data and not data.endswith(b"\n") and data[data.rfind(b"\n") + 1 :].startswith(b'{"'):
            data = data[: data.rfind(b"\n") + 1]  # somebody is writing this line just now
        return parse(source, data.decode(errors="replace").split("\n"), fallback=self.changed(source))

    def follow(self, ref: VersionRef | None) -> Follower:
        """What is written now and from now on."""
        return Follower(self, ref)

    def end(self, source: str) -> tuple[int, int]:
        """The inode of a log and its length in bytes; zeros where there is none."""
        try:
            found = self._path(source).stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_size

    def since(self, source: str, offset: int) -> bytes:
        """What a log has after its first bytes; nothing where it is gone."""
        try:
            with self._path(source).open("rb") as log:
                log.seek(offset)
                return log.read()
        except OSError:
            return b""

    def cut(self, source: str) -> bytes:
        """What was last cut from a log."""
        path = self._path(source)
        return _bytes(path.with_name(f"{path.name}.1"))

    def _content(self, source: str) -> bytes:
        path = self._path(source)
        cut = path.with_name(f"{path.name}.1")
        for _ in range(_ATTEMPTS):
            seen = _stamp(cut)
            data = _bytes(cut) + _bytes(path)
            # Between the two readings the log may have been cut: then what was cut is in neither.
            if _stamp(cut) == seen:
                return data
        return data

    def changed(self, source: str) -> datetime | None:
        """When a log was last written, UTC."""
        try:
            return datetime.fromtimestamp(self._path(source).stat().st_mtime, UTC)
        except OSError:
            return None

    def _path(self, source: str) -> Path:
        return self._folder / f"{source}.log"


class Follower:
    """Reads on where the last reading stopped, also when a log was cut or a new one has come.

    Args:
        files: The logs.
        ref: Of this version alone; of all when None.
    """

    def __init__(self, files: LogFiles, ref: VersionRef | None) -> None:
        self._files, self._ref = files, ref
        self._places: dict[str, _Place] = {}

    def new(self) -> list[LogRecord]:
        """The messages that have been finished since the last call, by their time; at the first call all there are."""
        found: list[LogRecord] = []
        for source in self._files.sources(self._ref):
            found += self._more(source, self._places.setdefault(source, _Place()))
        now = datetime.now(UTC)
        return sorted(found, key=lambda record: record.time or now)

    def _more(self, source: str, place: _Place) -> Iterable[LogRecord]:
        inode, size = self._files.end(source)
        data = place.half
        if inode != place.inode or size < place.offset:
            data += self._missed(source, place)
            place.inode, place.offset = inode, 0
        read = self._files.since(source, place.offset)
        place.offset += len(read)
        place.tail = (place.tail + read)[-_TAIL_BYTES:]
        whole, newline, place.half = (data + read).rpartition(b"\n")
        if not newline:
            return []
        return parse(source, whole.decode(errors="replace").split("\n"), fallback=self._files.changed(source))

    def _missed(self, source: str, place: _Place) -> bytes:
        """What was written after the last reading and has been cut since."""
        if not place.tail:
            return b""
        cut = self._files.cut(source)
        found = cut.rfind(place.tail)
        return cut[found + len(place.tail) :] if found >= 0 else b""


@dataclass
class _Place:
    inode: int = 0
    offset: int = 0
    half: bytes = b""
    tail: bytes = b""


@dataclass
class _Reader:
    """Makes messages of lines; the lines of a traceback are one.

    Args:
        source: The log's name.
    """

    source: str
    found: list[LogRecord] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        """The next line."""
        if self._open:
            if len(self._open) < _LONGEST_TRACEBACK and (not line.strip() or line.startswith((" ", "\t"))):
                self._open.append(line)
                return
            if not line.startswith("{") and _TRACEBACK not in line:
                self._open.append(line)  # the exception itself ends it
                self.close()
                return
            self.close()
        if line.startswith(_TRACEBACK):
            self._open.append(line)
        elif line.strip():
            self.found.append(_record(self.source, line))

    def close(self) -> None:
        """No line comes any more."""
        if self._open:
            self.found.append(LogRecord(self.source, _cut("\n".join(self._open).rstrip()), "ERROR"))
            self._open = []


def parse(source: str, lines: Iterable[str], *, fallback: datetime | None = None) -> list[LogRecord]:
    """The messages of a log.

    Args:
        source: Its name.
        lines: Its lines.
        fallback: When it was last written, for a log in which no line names a time.
    """
    reader = _Reader(source)
    for line in lines:
        reader.add(line.rstrip("\r"))
    reader.close()
    return list(_timed(reader.found, fallback))


def _timed(records: list[LogRecord], fallback: datetime | None) -> Iterator[LogRecord]:
    """A message that names no time has that of the one before it; before the first, that of the first that does."""
    time = next((record.time for record in records if record.time is not None), fallback)
    for record in records:
        time = record.time or time
        yield record if record.time else replace(record, time=time)


def _record(source: str, line: str) -> LogRecord:
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if isinstance(found, dict) and isinstance(found.get("message"), str):
            return _structured(source, found)
    if gateway := _GATEWAY.fullmatch(line):
        level = _GATEWAY_LEVELS.get(gateway[2], "INFO")
        return LogRecord(source, _cut(gateway[4]), level, _local(gateway[1]), logger=gateway[3])
    if plain := _PLAIN.fullmatch(line):
        return LogRecord(source, _cut(plain[3]), plain[2], _local(plain[1].replace(",", ".")))
    level = "ERROR" if _FAILED.match(line) else "WARNING" if _WARNED.match(line) else "INFO"
    return LogRecord(source, _cut(line), level)


def _structured(source: str, found: dict[str, Any]) -> LogRecord:
    level = str(found.get("level", "INFO")).upper()
    try:
        time = datetime.fromisoformat(str(found.get("time")))
        time = time.astimezone(UTC)
    except (ValueError, OverflowError):
        time = None
    return LogRecord(
        source,
        _cut(found["message"]),
        level if level in LEVELS else "INFO",
        time,
        str(found.get("logger") or ""),
        str(found.get("request_id") or ""),
        "" if "@" in source else str(found.get("version") or ""),
    )


def _local(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _cut(message: str) -> str:
    more = len(message) - LONGEST_MESSAGE
    return message if more <= 0 else f"{message[:LONGEST_MESSAGE]} ... and {more:,} characters more"


def _is_version(name: str) -> bool:
    try:
        read_ref(name)
    except BadInput:
        return False
    return True


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise StorageFailed(f"cannot read {path}: {error.strerror}", then="Make it readable and call again.") from error


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
