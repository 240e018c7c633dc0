"""Service code: a function before the model and one after it, as files and as a bento's manifest has them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pipelines.values.signature import Signature

FunctionName = Literal["preprocess", "postprocess"]

PREPROCESS: FunctionName = "preprocess"
POSTPROCESS: FunctionName = "postprocess"
FUNCTIONS: tuple[FunctionName, ...] = (PREPROCESS, POSTPROCESS)
CODE_FOLDER = "service_code"
"""Beside a bento's manifest: the functions, as they lie beside the model's notebooks."""
ROWS_FILE = "preprocess.rows.json"
"""Beside the function: example rows as clients send them, when they differ from what the model takes."""
ROWS = "rows"

_HEADER = re.compile(
    r"# turnout: (?P<name>preprocess|postprocess)(?: of [^,\n]*)?(?:, sha256 (?P<digest>[0-9a-f]{64}))?"
)


def file_name(name: FunctionName) -> str:
    """The name of a function's file, here and in a bento."""
    return f"{name}.py"


def plain(text: str) -> str:
    """The text with the line ends of Unix: version control writes others on Windows."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_digest(text: str) -> str:
    """SHA-256 of a text; its line ends do not count."""
    return hashlib.sha256(plain(text).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class ServiceFunction:
    """The file of one function.

    Its first line says that it is one, `# turnout: preprocess`; what a notebook stored has its digest there too. The
    header takes just the line that the magic takes in its cell, so a line has the same number in both.

    Args:
        name: Which function.
        text: The whole file.
    """

    name: FunctionName
    text: str

    @classmethod
    def of(cls, name: FunctionName, model: str, body: str) -> Self:
        """The file for the text of a cell."""
        body = plain(body)
        body = body if body.endswith("\n") else f"{body}\n"
        return cls(name, f"# turnout: {name} of {model}, sha256 {text_digest(body)}\n{body}")

    @property
    def is_ours(self) -> bool:
        """Whether the first line says that this file is such a function."""
        found = _HEADER.fullmatch(self._header.rstrip())
        return found is not None and found["name"] == self.name

    @property
    def body(self) -> str:
        """What follows the first line."""
        return plain(self.text).partition("\n")[2]

    @property
    def digest(self) -> str:
        """SHA-256 of the body: what the function does, whoever stored it."""
        return text_digest(self.body)

    @property
    def is_edited(self) -> bool:
        """Whether the body is another one than that which a notebook stored."""
        found = _HEADER.fullmatch(self._header.rstrip())
        return found is not None and found["digest"] not in (None, self.digest)

    @property
    def _header(self) -> str:
        return plain(self.text).partition("\n")[0]


@dataclass(frozen=True, slots=True)
class ServiceFiles:
    """All service code of one model, as it lies beside its notebooks.

    Args:
        functions: Those there are.
        rows: The text of ROWS_FILE; empty when there is none. It says nothing without `preprocess`.
        others: Names of files that are called so, but do not say that they are such functions.
    """

    functions: tuple[ServiceFunction, ...] = ()
    rows: str = ""
    others: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.functions)

    def get(self, name: FunctionName) -> ServiceFunction | None:
        """One function."""
        return next((function for function in self.functions if function.name == name), None)

    def having(self, name: FunctionName, function: ServiceFunction | None, rows: str | None = None) -> ServiceFiles:
        """With one function replaced, or taken away, and with other rows unless they are None."""
        kept = {one.name: one for one in self.functions if one.name != name}
        if function is not None:
            kept[name] = function
        ordered = tuple(kept[one] for one in FUNCTIONS if one in kept)
        return ServiceFiles(ordered, self.rows if rows is None else rows, self.others)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 by name, of the rows too where they count."""
        found: dict[str, str] = {function.name: function.digest for function in self.functions}
        if self.rows and PREPROCESS in found:
            found[ROWS] = text_digest(self.rows)
        return found


@dataclass(frozen=True, slots=True)
class Modules:
    """What service code may import.

    Args:
        standard: The modules of the standard library.
        installed: The modules of the packages that the bento pins.
    """

    standard: frozenset[str]
    installed: frozenset[str]

    def __contains__(self, name: str) -> bool:
        return name in self.standard or name in self.installed


@dataclass(frozen=True, slots=True)
class Trial:
    """How functions did on real rows.

    Args:
        rows: How many rows they answered, alone and together.
        interface: What clients send and get with them.
    """

    rows: int
    interface: Signature


@dataclass(frozen=True, slots=True)
class ServiceCode:
    """What a bento's manifest says of its service code.

    Args:
        digests: SHA-256 by name, as `ServiceFiles.digests` has them.
        interface: What clients send and get: the inputs before `preprocess`, the outputs after `postprocess`.
    """

    interface: Signature
    digests: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        return {"digests": dict(self.digests), "interface": self.interface.as_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(interface=Signature.from_dict(data["interface"]), digests=dict(data["digests"]))
