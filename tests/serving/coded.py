"""Bentos with functions before and after their model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.values import CODE_FOLDER, Manifest, ServiceCode, ServiceFiles, ServiceFunction, Signature, file_name


def add_code(folder: Path, interface: Signature, rows: list[Any] | None = None, **bodies: str) -> Path:
    """Put functions around the model of the bento at `folder`.

    Args:
        folder: The bento's source folder.
        interface: What clients send and get from then on.
        rows: Warm-up rows as they send them, where those of before do not fit.
        bodies: The text of a function's cell, by its name.
    """
    manifest = Manifest.read(folder)
    functions = [ServiceFunction.of(name, manifest.ref.model, body) for name, body in bodies.items()]  # type: ignore[arg-type]
    (folder / CODE_FOLDER).mkdir(exist_ok=True)
    for function in functions:
        (folder / CODE_FOLDER / file_name(function.name)).write_text(function.text, encoding="utf-8")
    digests = ServiceFiles(tuple(functions)).digests
    replace(manifest, service_code=ServiceCode(interface, digests)).write(folder)
    if rows is not None:
        (folder / "warmup.json").write_text(json.dumps({"inputs": rows}))
    return folder
