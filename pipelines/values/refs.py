"""How a model version is named: `digits@7`, or through an alias, `digits@champion`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pipelines.errors import BadInput

MODEL_NAME = re.compile(r"[a-z]([a-z0-9_-]{0,38}[a-z0-9])?")


class Alias(StrEnum):
    """A name for a version that moves."""

    CHAMPION = "champion"
    PREVIOUS = "previous"
    LATEST = "latest"


def check_model_name(name: str) -> str:
    """Return `name` when it may name a model, else raise BadInput."""
    if not MODEL_NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot name a model",
            instead="a name has 1 to 40 of a-z, 0-9, - and _, starts with a letter and ends with a letter or digit",
        )
    return name


@dataclass(frozen=True, slots=True, order=True)
class VersionRef:
    """One version of one model; numbers start at 1."""

    model: str
    number: int

    def __post_init__(self) -> None:
        check_model_name(self.model)
        if self.number < 1:
            raise BadInput(f"{self.model}@{self.number} is no version", instead="versions count from 1")

    def __str__(self) -> str:
        return f"{self.model}@{self.number}"


@dataclass(frozen=True, slots=True)
class VersionSpec:
    """What a person types for a version: a number or an alias, resolved by the registry."""

    model: str
    which: int | Alias

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `digits@7` or `digits@champion`.

        Raises:
            BadInput: the text is neither; the message shows what is.
        """
        model, at, which = text.partition("@")
        if not at:
            raise BadInput(
                f"{text!r} names no version",
                instead=f"a version is written {model or 'MODEL'}@7, or @champion, @previous, @latest",
            )
        check_model_name(model)
        if which.isascii() and which.isdigit() and int(which) > 0:
            return cls(model, int(which))
        try:
            return cls(model, Alias(which))
        except ValueError:
            raise BadInput(
                f"{which!r} is no version of {model}",
                instead="after the @ comes a number from 1, or champion, previous or latest",
            ) from None

    def __str__(self) -> str:
        return f"{self.model}@{self.which}"


def read_ref(text: str) -> VersionRef:
    """The inverse of `str(ref)`.

    Raises:
        BadInput: an alias, or no version at all.
    """
    spec = VersionSpec.parse(text)
    if not isinstance(spec.which, int):
        raise BadInput(f"{text!r} is an alias", instead="stored state names versions by number")
    return VersionRef(spec.model, spec.which)
