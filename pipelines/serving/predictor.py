"""A bento's model, ready to answer request bodies."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import orjson

from pipelines.errors import BadRequest, ServeFailed, ServiceCodeFailed
from pipelines.serving.arms import Prediction, prediction_reader
from pipelines.serving.codec import Decoder, Encoder
from pipelines.serving.model import Model, load_model
from pipelines.serving.outputs import Arrays
from pipelines.values.manifest import WARMUP_NAME, Manifest

INLINE_SECONDS = 0.005
"""What is expected to take longer runs in a worker thread, so that the event loop stays free."""

_WARMUP_CALLS = 5
_SLOW_SECONDS = 0.2
_NEWEST = 0.1


class Pace:
    """How long the model takes: so much for the smallest call, so much for each further unit of work.

    A unit is a row, or a number where rows have no fixed length. Both are in seconds and follow what is measured; the
    second one rises at once and falls slowly, since a batch that is taken for shorter than it is holds up everybody.
    """

    __slots__ = ("each", "first", "smallest")

    def __init__(self) -> None:
        self.smallest = 1
        self.first = 0.0
        self.each = 0.0

    def seconds(self, units: int) -> float:
        """What `units` units are expected to take."""
        return self.first + (units - self.smallest) * self.each

    def learn(self, units: int, seconds: float) -> None:
        """Take in one measurement."""
        more = units - self.smallest
        if more <= 0:
            self.first += _NEWEST * (seconds - self.first)
        else:
            each = max(0.0, (seconds - self.first) / more)
            self.each = max(each, self.each + _NEWEST * (each - self.each))


class Predictor:
    """Request body in, answer body out; `decode`, `predict` and `encode` are its three steps."""

    def __init__(self, manifest: Manifest, model: Model) -> None:
        self.manifest = manifest
        self.pace = Pace()
        self.takes_threads = model.takes_threads
        self.decode = Decoder(manifest.interface).decode
        self.encode = Encoder(manifest).encode
        self.read = prediction_reader(manifest.interface)
        self._model = model
        self._ref = str(manifest.ref)
        self._rows_vary = any(None in field.shape for field in manifest.interface.inputs)

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> Predictor:
        """Load the bento at `folder` and answer its warm-up rows.

        Raises:
            ServeFailed: it cannot be loaded, or does not answer them.
        """
        predictor = cls(manifest, load_model(folder, manifest))
        try:
            body = (folder / WARMUP_NAME).read_bytes()
        except OSError as error:
            raise ServeFailed(
                f"{manifest.ref} has no readable warm-up rows: {error}", then="Package the version again."
            ) from error
        predictor.warm_up(body)
        return predictor

    def warm_up(self, body: bytes) -> None:
        """Answer real rows, one alone and all together, and take the time.

        Raises:
            ServeFailed: the model does not answer them.
        """
        try:
            one = orjson.dumps({"inputs": orjson.loads(body)["inputs"][:1]})
            self.answer(one)
            self.answer(body)
            self.pace.smallest, self.pace.first = self._timed(one)
            units, seconds = self._timed(body)
        except (BadRequest, ServiceCodeFailed, LookupError, TypeError, ValueError) as error:
            raise ServeFailed(f"{self._ref} does not answer its own warm-up rows: {error}") from error
        more = units - self.pace.smallest
        self.pace.each = max(0.0, (seconds - self.pace.first) / more) if more else self.pace.first

    def _timed(self, body: bytes) -> tuple[int, float]:
        """The units of work of a body, and the shortest time the model took for it, in seconds."""
        arrays, rows = self.decode(body)
        best = float("inf")
        for _ in range(_WARMUP_CALLS):
            start = perf_counter()
            self._model.predict(arrays)
            spent = perf_counter() - start
            best = min(best, spent)
            if spent > _SLOW_SECONDS:
                break
        return self._units(arrays, rows), best

    def _units(self, arrays: Arrays, rows: int) -> int:
        return sum(array.size for array in arrays.values()) if self._rows_vary else rows

    def is_quick_at_all(self) -> bool:
        """Whether the smallest request may be answered on the event loop."""
        return self.takes_threads and self.pace.first <= INLINE_SECONDS

    def is_quick(self, arrays: Arrays, rows: int) -> bool:
        """Whether these rows may be answered on the event loop."""
        pace = self.pace
        if rows == 1 and not self._rows_vary:
            return self.takes_threads and pace.first <= INLINE_SECONDS
        return self.takes_threads and pace.seconds(self._units(arrays, rows)) <= INLINE_SECONDS

    def predict(self, arrays: Arrays, rows: int) -> Arrays:
        """The model's outputs by field, each of shape (rows, *field.shape).

        Raises:
            BadRequest: the model raised on these rows: 422, of the kind `model_error`.
            ServiceCodeFailed: a function before or after it did.
        """
        start = perf_counter()
        try:
            outputs = self._model.predict(arrays)
        except (BadRequest, ServiceCodeFailed):
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            raise BadRequest(
                f"{self._ref} cannot answer these rows: {type(error).__name__}: {lines[0][:300]}",
                status=422,
                kind="model_error",
                field="inputs",
            ) from error
        self.pace.learn(self._units(arrays, rows), perf_counter() - start)
        return outputs

    def finish(self, arrays: Arrays, rows: int) -> bytes:
        """`predict` and `encode` in one."""
        return self.encode(self.predict(arrays, rows))

    def weigh(self, arrays: Arrays, rows: int) -> tuple[bytes, Prediction | None, float]:
        """`finish`, with what the first row says and the seconds it took."""
        start = perf_counter()
        outputs = self.predict(arrays, rows)
        payload = self.encode(outputs)
        seconds = perf_counter() - start
        return payload, self.read(outputs), seconds

    def weigh_body(self, body: bytes | bytearray) -> tuple[bytes, int, Prediction | None, float]:
        """`answer`, with what the first row says and the seconds it took."""
        start = perf_counter()
        arrays, rows = self.decode(body)
        spent = perf_counter() - start
        payload, prediction, seconds = self.weigh(arrays, rows)
        return payload, rows, prediction, spent + seconds

    def answer(self, body: bytes | bytearray) -> tuple[bytes, int]:
        """All three steps: the answer's body, and how many rows it has.

        Raises:
            BadRequest: there is no answer to this body.
            ServiceCodeFailed: a function before or after the model failed.
        """
        arrays, rows = self.decode(body)
        return self.finish(arrays, rows), rows
