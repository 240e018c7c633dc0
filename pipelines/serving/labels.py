"""`POST /labels`: truth that came later, put down for the daemon.

A host only checks what came and writes it to a folder of the project, so that labels are taken while the daemon is
down; joining them with answers is the daemon's. It answers when they are on the disk, which a thread waits for: whoever
was told that they are accepted need not send them again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio import Future
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from pipelines.errors import BadInput, BadRequest, ServeFailed
from pipelines.serving.asgi import Header, Receive, Scope, Send, respond
from pipelines.serving.refusals import check_type, refuse
from pipelines.serving.segments import Segments
from pipelines.values.capture import CaptureSettings
from pipelines.values.labels import IDS, LABEL, Label, read_id, read_rows
from pipelines.values.manifest import Manifest

FOLDER: Final = "labels"
"""In the project's folder of captures: `labels/MODEL/` has what waits for the daemon."""
MOST: Final = 10_000
LONGEST_BYTES: Final = 4 * 1024 * 1024
"""Labels of a request, and bytes of its body."""

_WAITING_MB: Final = 64
"""So much may wait for the daemon; then it has been down for long."""
_FREE_BYTES: Final = 100_000_000
_SEGMENTS: Final = CaptureSettings(max_mb=16 * _WAITING_MB, max_days=3650)
"""Nothing that waits is removed: segments are begun anew each hour."""
T = TypeVar("T")

_JSON: Final = (b"content-type", b"application/json")
_SHAPE: Final = 'it is {"request_id": "...", "label": ...}, or a list of such objects'


class Spool:
    """The labels that one replica has taken and the daemon has not.

    Args:
        folder: Where they lie, one a line.
        instance: The replica's id.
        free: How many bytes of the disk at a path are free.
        sync: Waits until a file is on the disk.
    """

    def __init__(
        self,
        folder: Path,
        instance: str,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        self._folder, self._free, self._sync = folder, free, sync
        self._segments = Segments(folder, instance, self._put)

    def put(self, lines: bytes) -> None:
        """Append whole lines, and wait until they are on the disk.

        Raises:
            OSError: they are not.
            ServeFailed: too much waits, or the disk is too full.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._free(self._folder) < _FREE_BYTES:
            raise ServeFailed("the disk is too full for labels", then="Send them again when there is room.")
        waiting = 0
        for path in self._folder.iterdir():
            with suppress(OSError):
                waiting += path.stat().st_size
        if waiting + len(lines) > _WAITING_MB * 1e6:
            what = f"{_WAITING_MB} MB of labels wait to be taken in"
            raise ServeFailed(what, then="Send them again when the daemon runs: `turnout up` starts it.")
        self._segments.write(lines, _SEGMENTS)

    def close(self) -> None:
        """Let go of the file."""
        self._segments.close()

    def _put(self, file: int, lines: bytes) -> int:
        written = os.write(file, lines)
        self._sync(file)
        folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._sync(folder)  # a new file's name, too
        finally:
            os.close(folder)
        return written


class LabelDoor:
    """Answers `POST /labels`.

    Args:
        manifest: The version's.
        spool: Where labels go; None in a host that no runtime of Turnout has started.
    """

    def __init__(self, manifest: Manifest, spool: Spool | None) -> None:
        self._model = manifest.ref.model
        self._marks: list[Header] = [(b"x-model-version", str(manifest.ref).encode())]
        self._spool = spool
        self._waiting: list[tuple[bytes, Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take labels, all or none: 202 with how many; 400 with what is wrong; 503 when they cannot be kept."""
        headers = dict(scope["headers"])
        unread: dict[bytes, bytes] | None = headers
        try:
            self._check_head(scope["method"], headers)
            body = await _body(receive)
            unread = None
            if body is None:
                return  # the client has left
            count, lines = await asyncio.to_thread(_lines, body)
            await self._keep(lines)
        except (BadRequest, ServeFailed) as error:
            await refuse(error, self._marks, receive, send, unread, LONGEST_BYTES)
        except OSError as error:
            failed = ServeFailed(f"the labels cannot be kept: {error.strerror or error}", then="Send them again.")
            await refuse(failed, self._marks, receive, send, unread, LONGEST_BYTES)
        else:
            answer = orjson.dumps({"accepted": count, "model": self._model})
            await respond(send, 202, answer, [_JSON, *self._marks])

    def _check_head(self, method: str, headers: dict[bytes, bytes]) -> None:
        if self._spool is None:
            raise BadRequest(
                "this host takes no labels",
                instead=f"they go to the gateway, POST /{self._model}/labels",
                then=f"`turnout labels {self._model} FILE` takes some from a file.",
                status=404,
                kind="no_labels",
            )
        if method != "POST":
            raise BadRequest(
                f"/labels does not take {method}", instead="it takes POST", status=405, kind="method_not_allowed"
            )
        check_type(headers.get(b"content-type", b"application/json"))

    async def _keep(self, lines: bytes) -> None:
        """Have it written; what comes while a write is under way goes into the next one together."""
        done: Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((lines, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            failed: Exception | None = None
            if self._spool is not None:
                try:
                    await asyncio.to_thread(self._spool.put, b"".join(lines for lines, _ in batch))
                except (OSError, ServeFailed) as error:
                    failed = error
            for _, done in batch:
                if done.done():
                    continue  # whoever waited has been told to stop
                if failed is None:
                    done.set_result(None)
                else:
                    done.set_exception(failed)
        self._writer = None


def spool_of(folder: str | None, manifest: Manifest, instance: str) -> Spool | None:
    """The spool of a host that was told where captures go; None for another one."""
    if not folder or not os.path.isabs(folder):  # noqa: PTH117 - it is a text from the environment
        return None
    return Spool(Path(folder) / FOLDER / manifest.ref.model, instance)


async def _body(receive: Receive) -> bytes | None:
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > LONGEST_BYTES:
            raise BadRequest(
                f"the body is longer than {LONGEST_BYTES:,} bytes",
                then="Send the labels in several requests.",
                status=413,
                kind="body_too_large",
            )
        if not message.get("more_body", False):
            return bytes(body)
    return None


def _lines(body: bytes) -> tuple[int, bytes]:
    """How many labels a body has, and each as a line.

    Raises:
        BadRequest: one of them is none; the field says which.
    """
    try:
        said = orjson.loads(body)
    except ValueError as error:
        raise BadRequest(f"the body is no JSON: {error}", instead=_SHAPE, kind="not_json") from error
    place = ""
    if isinstance(said, dict) and isinstance(said.get("labels"), list):
        said, place = said["labels"], "labels"
    rows = said if isinstance(said, list) else [said]
    if not 0 < len(rows) <= MOST:
        raise BadRequest(f"there are {len(rows)} labels", instead=f"a request has 1 to {MOST:,}", field=place)
    labels = _labels(rows, place, is_list=isinstance(said, list))
    return len(rows), b"".join(orjson.dumps({"id": one.request_id, "rows": one.rows}) + b"\n" for one in labels)


def _labels(rows: list[Any], place: str, *, is_list: bool) -> Iterator[Label]:
    for number, row in enumerate(rows):
        where = f"{place}[{number}]" if is_list else place
        if not isinstance(row, dict):
            raise BadRequest(f"{where or 'the body'} is no object", instead=_SHAPE, field=where)
        name = next((name for name in IDS if name in row), IDS[0])
        field = f"{where}." if where else ""
        yield Label(
            _read(read_id, row.get(name), f"{field}{name}"), _read(read_rows, row.get(LABEL), f"{field}{LABEL}")
        )


def _read(read: Callable[[Any], T], value: Any, field: str) -> T:
    try:
        return read(value)
    except BadInput as error:
        raise BadRequest(f"{field}: {error.what}", instead=error.instead, field=field) from error
