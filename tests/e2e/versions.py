"""Packaged versions made by hand in milliseconds: no training, no registry. Some misbehave on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from pipelines.adapters.catalogue import FileCatalogue
from pipelines.adapters.packaging.digest import bento_digest
from pipelines.adapters.packaging.reference import write
from pipelines.serving.model import load_model
from pipelines.values import Bento, Manifest, VersionRef
from tests.serving.bentos import make_tensor_bento, tensor_rows

ROW = tensor_rows(1)
"""One row that every version made here answers."""


def row_ending_in(value: float) -> list[Any]:
    """The same row with another last number."""
    rows = np.array(ROW)
    rows[0, -1, -1, -1] = value
    changed: list[Any] = rows.tolist()
    return changed


# Each is code put at the end of a module in the bento's own copy of the host.
_SABOTAGE = {
    "crashes": ("host.py", "raise SystemExit('this version crashes at its start')\n"),
    "never_ready": ("replica.py", "Replica.load = lambda self: __import__('time').sleep(3600)\n"),
}
_ON_DEMAND = """
_mood = __import__("pathlib").Path({path!r})
_well = HotPath.__call__


async def _moody(self, scope, receive, send):
    import asyncio, os
    mood = _mood.read_text() if scope.get("path", "").endswith("/predict") and _mood.exists() else ""
    if mood == "503":
        await send({{"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"2")]}})
        await send({{"type": "http.response.body", "body": b"no"}})
    elif mood == "hang":
        await asyncio.sleep(3600)
    elif mood == "tenth" and __import__("random").random() < 0.1:
        await send({{"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"2")]}})
        await send({{"type": "http.response.body", "body": b"no"}})
    elif mood == "reset":
        raise RuntimeError("no answer")
    elif mood == "die":
        os._exit(9)
    else:
        await _well(self, scope, receive, send)


HotPath.__call__ = _moody
"""

_SLOW = """
_quick = Replica.load


def _load_slowly(self):
    predictor = _quick(self)
    predict = type(predictor).predict

    def predict_slowly(self, *arguments, **more):
        __import__("time").sleep(0.02)
        return predict(self, *arguments, **more)

    type(predictor).predict = predict_slowly
    return predictor


Replica.load = _load_slowly
"""

# Each request shall come by the hot path, where the mood is.
_NO_SHORTCUT = "Shortcut._may_be_short = lambda self: False\n"


@dataclass(frozen=True)
class Shelf:
    """The packaged versions of one project.

    Args:
        state: Its state folder.
    """

    state: Path

    @property
    def catalogue(self) -> FileCatalogue:
        """Where they are listed."""
        return FileCatalogue(self.state, bento_digest)

    def add(
        self, number: int, kind: str = "good", *, model: str = "digits", is_passed: bool = True, reference: int = 0
    ) -> VersionRef:
        """Make a version and list it.

        Args:
            number: Its number.
            kind: `good`; `crashes` at its start; `never_ready`; `nan`, which answers that; `slow`, which takes 20 ms;
                `shifted`, which says something else; `overflows`, which answers NaN where a row ends in more than 1, as
                no row of its warm-up does; `moody`, see `mood`.
            model: Its model.
            is_passed: Whether its gates passed.
            reference: Of how many rows it has a reference; 0 for none.
        """
        ref = VersionRef(model, number)
        folder = make_tensor_bento(self._folder(ref), number)
        replace(Manifest.read(folder), ref=ref).write(folder)
        if kind in _SABOTAGE:
            module, code = _SABOTAGE[kind]
            _append(folder / "pipelines" / "serving" / module, code)
        elif kind == "moody":
            _append(folder / "pipelines" / "serving" / "hotpath.py", _ON_DEMAND.format(path=str(self._mood(ref))))
            _append(folder / "pipelines" / "serving" / "shortcut.py", _NO_SHORTCUT)
        elif kind == "slow":
            _append(folder / "pipelines" / "serving" / "replica.py", _SLOW)
        elif kind == "shifted":
            _change_weights(folder / "model" / "model.onnx", lambda old: old[:, ::-1].copy())
        elif kind == "overflows":
            _change_weights(folder / "model" / "model.onnx", _overflowing)
        elif kind == "nan":
            _change_weights(folder / "model" / "model.onnx", lambda old: np.full_like(old, np.nan))
        if reference:
            _add_reference(folder, reference)
        self.catalogue.put(Bento(ref, str(folder), bento_digest(folder), is_passed=is_passed, memory_mb=70.0))
        return ref

    def ref(self, number: int) -> VersionRef:
        """The name of a version of `digits`."""
        return VersionRef("digits", number)

    def mood(self, ref: VersionRef, mood: str) -> None:
        """From now on a moody version answers `503`, or that to a `tenth` of the requests, does `hang`, `reset`, `die`.

        An empty mood is a good one.
        """
        written = self._mood(ref).with_suffix(".new")
        written.write_text(mood)
        written.replace(self._mood(ref))

    def _folder(self, ref: VersionRef) -> Path:
        return self.state / "bentoml" / "bentos" / ref.model / str(ref.number) / "src"

    def _mood(self, ref: VersionRef) -> Path:
        return self.state / f"mood-{ref.model}-{ref.number}"


def _add_reference(folder: Path, count: int) -> None:
    manifest = Manifest.read(folder)
    (field,) = manifest.signature.inputs
    values = {field.name: np.array(tensor_rows(count, seed=0), np.dtype(field.dtype))}
    write(folder, manifest.signature, values, load_model(folder, manifest).predict(values))


def _append(module: Path, code: str) -> None:
    text = module.read_text(encoding="utf-8")
    # Before the module runs itself.
    body, mark, rest = text.partition('\nif __name__ == "__main__":')
    module.write_text(f"{body}\n{code}{mark}{rest}", encoding="utf-8")


def _overflowing(weights: np.ndarray) -> np.ndarray:
    """The weights with one so large that its product with more than 1 is infinite; with 0 it changes nothing."""
    changed = weights.copy()
    changed[-1, 0] = 0.9 * np.finfo(weights.dtype).max
    return changed


def _change_weights(file: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    graph = onnx.load(file)
    for held in graph.graph.initializer:
        held.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(held)), held.name))
    onnx.save(graph, file)
