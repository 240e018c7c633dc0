"""Truth that becomes known after a request was answered, and what it says of the versions that answered."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.errors import BadInput

Truth = str | float
"""A class by its name, or a number."""

IDS = ("request_id", "x-turnout-id", "id")
"""What the request's id may be called; the first one that is there counts."""
LABEL = "label"
"""What the truth is called."""
LONGEST_ID = 128
LONGEST_TEXT = 200
MOST_ROWS = 100_000
"""Rows that a request may have."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_EXACT = 2.0**53
"""Beyond this two whole numbers may be one float."""


@dataclass(frozen=True, slots=True)
class Label:
    """The truth of one request.

    Args:
        request_id: The gateway's id of the request, which its answer had as `x-turnout-id`.
        rows: One a row of the request.
    """

    request_id: str
    rows: tuple[Truth, ...]


def read_label(request_id: Any, label: Any) -> Label:
    """A label as JSON or a table has it; see `read_id` and `read_rows`.

    Raises:
        BadInput: one of the two is none; the message does not say where, the caller knows.
    """
    return Label(read_id(request_id), read_rows(label))


def read_id(value: Any) -> str:
    """A request's id.

    Raises:
        BadInput: it is none.
    """
    if not isinstance(value, str) or not value.strip():
        raise BadInput(
            f"the request id is {_shown(value)}", instead="it is the text that the answer had as x-turnout-id"
        )
    name = value.strip()
    if len(name) > LONGEST_ID:
        raise BadInput(f"the request id has {len(name)} characters", instead=f"it has at most {LONGEST_ID}")
    return name


def read_rows(label: Any) -> tuple[Truth, ...]:
    """A text, a number, a truth value, or a list of these, one a row.

    The same truth is the same value however it was written: `3`, `3.0` and `"3"`, `true` and `"True"`. A text such as
    `007` stays one.

    Raises:
        BadInput: it is none of these.
    """
    rows = label if isinstance(label, list) else [label]
    if not 0 < len(rows) <= MOST_ROWS:
        raise BadInput(f"the label is a list of {len(rows)}", instead="it has one label a row of the request")
    return tuple(map(_truth, rows))


def _truth(value: Any) -> Truth:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        if isinstance(value, float) and not math.isfinite(value):
            raise BadInput(f"the label is {value}", instead="a number is finite")
        return float(value) if abs(value) < _EXACT else str(value)
    if isinstance(value, str) and value.strip():
        return _of_text(value.strip())
    raise BadInput(f"the label is {_shown(value)}", instead="it is a class or a number, or a list of them, one a row")


def _of_text(text: str) -> Truth:
    if len(text) > LONGEST_TEXT:
        raise BadInput(f"the label has {len(text)} characters", instead=f"it has at most {LONGEST_TEXT}")
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number if abs(number) < _EXACT else text
    return text.lower() if text.lower() in ("true", "false") else text


def _shown(value: Any) -> str:
    shown = "null" if value is None else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of some labels.

    Args:
        joined: Those whose request's answer was found, and which have one label a row of it.
        waiting: Those whose request is not known; its answer may still come.
        not_captured: Those whose request is not among those that are kept.
        unfit: Those that do not fit the answer: another number of rows, a text for a number.
        repeated: Those that were known already.
        contradicting: Those that contradict an earlier one, which holds.
        examples: Some that do not fit or contradict, in words.
    """

    joined: int = 0
    waiting: int = 0
    not_captured: int = 0
    unfit: int = 0
    repeated: int = 0
    contradicting: int = 0
    examples: tuple[str, ...] = ()

    def plus(self, other: Taken, most: int = 5) -> Taken:
        """Both together, with a few examples."""
        together = {name: getattr(self, name) + getattr(other, name) for name in KINDS}
        return Taken(**together, examples=(*self.examples, *other.examples)[:most])

    @property
    def received(self) -> int:
        """How many there were."""
        return sum(getattr(self, name) for name in KINDS)

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {name: getattr(self, name) for name in KINDS}


KINDS = ("joined", "waiting", "not_captured", "unfit", "repeated", "contradicting")


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a version has answered, as far as the truth is known.

    Args:
        kind: `accuracy` of classes, or `mean_error` of numbers: the mean distance from the truth.
        value: It.
        low: Lower end of its 95 % interval; None where there are too few requests for one.
        high: Upper end.
        requests: How many requests it rests on.
        rows: How many rows they had.
        wrong: Rows with another class than the truth; None for numbers.
    """

    kind: str
    value: float
    low: float | None
    high: float | None
    requests: int
    rows: int
    wrong: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The quality as JSON."""
        return {
            "kind": self.kind,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "requests": self.requests,
            "rows": self.rows,
            "wrong": self.wrong,
        }


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """All labels of a model, and what they say.

    Args:
        versions: The quality by version, rising; of one that answered with classes and with numbers each apart.
        labels: What became of the labels, all together.
        rate: The share of the requests that hosts are told to keep; None where they were told nothing yet.
    """

    versions: Mapping[str, tuple[Quality, ...]] = field(default_factory=dict)
    labels: Taken = field(default_factory=Taken)
    rate: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON."""
        return {
            "versions": {ref: [one.as_dict() for one in found] for ref, found in self.versions.items()},
            "labels": self.labels.counts(),
            "capture_rate": self.rate,
        }
