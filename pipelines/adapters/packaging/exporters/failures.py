"""What a converter's failure means, in words for a person."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipelines.adapters.packaging.graph import first_line
from pipelines.errors import ExportFailed

_NO_CONVERTER = re.compile(r"Unable to find a (?:shape calculator|converter) for type '?<class '(?:[\w.]+\.)?(\w+)'>")

_LONGEST = 200


@contextmanager
def explain(converter: str, model: Any) -> Iterator[None]:
    """Turn whatever a converter raises into ExportFailed, naming the part of the model it has no words for."""
    try:
        yield
    except (ExportFailed, MemoryError):
        raise
    except Exception as error:
        unknown = _NO_CONVERTER.search(str(error))
        if unknown:
            raise ExportFailed(f"{converter} has no converter for {unknown[1]}") from error
        said = textwrap.shorten(f"{type(error).__name__}: {first_line(error)}", _LONGEST, placeholder=" ...")
        raise ExportFailed(f"{converter} cannot convert {_called(model)} ({said})") from error


def _called(model: Any) -> str:
    steps = getattr(model, "steps", None)
    kind = type(model).__name__
    return f"the {kind} that ends in {type(steps[-1][1]).__name__}" if steps else kind
