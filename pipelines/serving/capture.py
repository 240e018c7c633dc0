"""Keeps a sample of requests and answers on the disk, off the hot path.

The event loop only decides, by the id that the gateway gave the request, and hands the bytes over as they are. A thread
writes them, one JSON object a line, into segments of a bounded folder. Whatever goes wrong there - a full queue, a full
disk - costs captures and never an answer: it is counted, and said once.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from binascii import crc32
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import orjson

from pipelines.errors import BadInput
from pipelines.serving.metrics import Metrics
from pipelines.serving.segments import Segments
from pipelines.values.capture import CaptureSettings
from pipelines.values.manifest import Manifest

CAPTURES: Final = "TURNOUT_CAPTURES"
"""Names the project's folder of captures in a host's environment; without it nothing is kept."""
SALT: Final = "salt"
"""The file in that folder with the key of the hashes."""
JOIN_HEADER: Final = b"x-turnout-id"
"""The gateway's id of a request; the same for both copies of one that is mirrored."""

_PAUSE_SECONDS = 0.25
_SETTINGS_SECONDS = 1.0
_FREE_BYTES = 100_000_000
"""So much of a disk stays free: the journal needs it more."""
_MOST_WAITING = 10_000
_MOST_BYTES = 16 * 1024 * 1024
_LONGEST_BYTES = 1024 * 1024
_LONGEST_ID = 128
_CHUNK = 64
"""So many lines are made before the event loop gets its turn."""

Taken = tuple[float, bytes, bytes, bytes | None, bytes | None, bytes | bytearray, bytes]
"""When, the gateway's id, the request's id, its arm and its user, the request's body, the answer's body."""

logger = logging.getLogger("turnout.capture")


class Capture:
    """The captures of one replica.

    Args:
        folder: The project's folder of captures: `MODEL.json` there says what is kept, and is read again as it changes;
            the segments lie in `MODEL@VERSION/`.
        manifest: The version's.
        instance: The replica's id.
        metrics: Where captures are counted.
        free: How many bytes of the disk at a path are free.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        instance: str,
        metrics: Metrics,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        self.threshold = 0
        self._folder = folder
        self._ref = str(manifest.ref)
        self._settings_file = folder / f"{manifest.ref.model}.json"
        self._settings: CaptureSettings | None = None
        self._seen = (0, 0)
        self._hider: Hider | None = None
        self._names = {field.name for field in (*manifest.interface.inputs, *manifest.interface.outputs)}
        self._segments = Segments(folder / self._ref, instance)
        self._free = free
        self._counts = metrics.captures
        self._queue: deque[Taken] = deque()
        self._put = self._got = 0
        # What surrounds the outputs in every answer of this version.
        self._tail = len(orjson.dumps({"model": manifest.ref.model, "version": manifest.ref.number}))
        self._said = ""
        self._leaves = threading.Event()
        self._looked = 0.0
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        """Look at the settings, and write from now on."""
        self._look()
        self._thread.start()

    def close(self) -> None:
        """Write what waits, for a second at most."""
        self._leaves.set()
        self._thread.join(1.0)

    def offer(
        self,
        join: bytes,
        request_id: bytes,
        arm: bytes | None,
        user: bytes | None,
        body: bytes | bytearray,
        answer: bytes,
    ) -> None:
        """Take an answered request if it is among those that are kept. Called on the event loop alone.

        Args:
            join: The gateway's id.
            request_id: The client's, or the one made for it.
            arm: As the gateway marked it, see `pipelines.serving.arms`; None where it is not judged.
            user: What keeps the user with its version.
            body: Of the request, found right.
            answer: Its body.
        """
        if crc32(join) >= self.threshold:
            return
        size = len(body) + len(answer)
        is_too_much = size > _LONGEST_BYTES or self._put - self._got + size > _MOST_BYTES
        if is_too_much or len(self._queue) >= _MOST_WAITING or len(join) > _LONGEST_ID:
            self._counts["dropped"] += 1
            return
        self._put += size
        self._queue.append((time.time(), join, request_id, arm, user, body, answer))

    def _run(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._leaves.wait(_PAUSE_SECONDS)
            try:
                if time.monotonic() - self._looked >= _SETTINGS_SECONDS:
                    self._look()
                while self._queue:
                    self._write()
            except Exception:  # the thread must outlive whatever a body may hold
                logger.exception("captures cannot be written")
        self._segments.close()

    def _write(self) -> None:
        """Write some of what waits."""
        taken = [self._queue.popleft() for _ in range(min(_CHUNK, len(self._queue)))]
        self._got += sum(len(body) + len(answer) for *_, body, answer in taken)
        settings = self._settings
        if settings is None or not self.threshold:
            return  # switched off meanwhile: what waited is kept no more
        lines = []
        for one in taken:
            try:
                lines.append(self._line(one))
            except (ValueError, LookupError, TypeError):
                self._counts["failed"] += 1
        try:
            self._segments.write(b"".join(lines), settings)
        except OSError as error:
            self._counts["failed"] += len(lines)
            self._say(f"captures cannot be written: {error.strerror or error}")
        else:
            self._counts["written"] += len(lines)
            self._said = ""

    def _line(self, taken: Taken) -> bytes:
        at, join, request_id, arm, user, body, answer = taken
        moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
        head = {
            "id": join.decode("latin-1"),
            "request_id": request_id.decode("latin-1"),
            "time": moment,
            "version": self._ref,
            "arm": (arm or b"").decode("latin-1"),
        }
        if arm and user:  # who it is need not lie on the disk, only whether it is the same one
            # By the rollout's salt alone: the same user is the same under each split of a rollout.
            head["user"] = blake2b(user, digest_size=8, key=arm.split(b" ", 2)[-1][-64:]).hexdigest()
        # The body was found right, so it is `{"inputs": [...]}` in some spelling; a line has no end within.
        inputs = bytes(body[body.index(b"[") : body.rindex(b"}")]).translate(None, b"\r\n")
        outputs = answer[len(b'{"outputs":') : -self._tail]
        if self._hider is not None:
            inputs, outputs = self._hider.hide(inputs, outputs)
        return orjson.dumps(head)[:-1] + b',"outputs":' + outputs + b',"inputs":' + inputs + b"}\n"

    def _look(self) -> None:
        """Read the settings again when they have changed; see whether the disk has room."""
        self._looked = time.monotonic()
        try:
            status = self._settings_file.stat()
            seen = (status.st_mtime_ns, status.st_ino)
            if seen != self._seen:
                self._read()
                self._seen = seen
        except FileNotFoundError as error:
            self._settings, self._seen = None, (0, 0)
            if error.filename != str(self._settings_file):  # without settings nothing is wanted
                self._say(f"captures are off: {error.filename} is missing")
        except (OSError, ValueError) as error:
            self._settings, self._seen = None, (0, 0)
            self._say(f"captures are off, their settings cannot be read: {error}")
        threshold = self._settings.threshold if self._settings else 0
        if threshold:
            with suppress(OSError):
                if self._free(self._folder) < _FREE_BYTES:
                    self._say(f"captures pause: less than {_FREE_BYTES // 10**6} MB of the disk are free")
                    threshold = 0
        if threshold:
            with suppress(OSError):
                self._segments.tidy(self._settings or CaptureSettings())
        self.threshold = threshold

    def _read(self) -> None:
        said = json.loads(self._settings_file.read_bytes())
        settings = CaptureSettings.from_dict(said)
        hidden = {*settings.leave_out, *settings.hash}
        salt = (self._folder / SALT).read_bytes() if settings.hash else b""
        self._hider = Hider(settings, salt) if hidden else None
        self._settings = settings
        unknown = sorted(hidden - self._names)
        if unknown:
            logger.warning("the settings of captures hide %s, but %s has no such field", ", ".join(unknown), self._ref)

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            logger.warning("%s; requests are answered as before", text)


class Hider:
    """Takes fields out of rows, or replaces their values by keyed hashes.

    Args:
        settings: Which fields.
        salt: The key.
    """

    def __init__(self, settings: CaptureSettings, salt: bytes) -> None:
        self._leave_out = frozenset(settings.leave_out)
        self._hash = frozenset(settings.hash)
        self._salt = salt
        if self._hash and len(salt) < 16:
            raise BadInput("there is no key for the hashes of captures")

    def hide(self, inputs: bytes, outputs: bytes) -> tuple[bytes, bytes]:
        """Rows and answers, without what is to be hidden."""
        # What follows the list is a repeated key; only the last one counts, as it did for the model.
        rows = orjson.loads(b'{"inputs":' + inputs + b"}")["inputs"]
        return orjson.dumps(self._rows(rows)), orjson.dumps(self._rows(orjson.loads(outputs)))

    def _rows(self, rows: list[Any]) -> list[Any]:
        return [self._row(row) if isinstance(row, dict) else row for row in rows]

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in row.items() if name not in self._leave_out}
        for name in self._hash & kept.keys():
            kept[name] = self.digest(kept[name])
        return kept

    def digest(self, value: Any) -> str:
        """Equal values give equal texts."""
        return blake2b(orjson.dumps(value), digest_size=8, key=self._salt[:64]).hexdigest()


def captured(folder: str | None, manifest: Manifest, instance: str, metrics: Metrics) -> Capture | None:
    """The captures of a host that was told where they go; None for another one."""
    if not folder or not os.path.isabs(folder):  # noqa: PTH117 - it is a text from the environment
        return None
    made = Capture(Path(folder), manifest, instance, metrics)
    made.start()
    return made
