"""Every error Turnout raises.

TurnoutError                    exit code 1: it did not succeed
├── BadInput                    exit code 2: the call was wrong
│   ├── BadProject              the project file or the project's folder
│   │   └── NoProject           there is none
│   ├── BadRequest              a prediction request (an HTTP 4xx)
│   ├── BadParameter            a notebook parameter
│   ├── BadServiceCode          a function for before or after the model
│   ├── NoSuchModel
│   ├── NoSuchVersion
│   └── MissingExtra            an optional dependency is not installed
├── Busy                        exit code 3: somebody else holds it
├── Refused                     a rule forbids it (a failed gate, a version in use)
├── NotebookFailed
│   ├── NotebookRaised          a cell raised
│   ├── NotebookTimeout         a cell, or the whole run, took too long
│   ├── KernelDied
│   └── NotebookContract        it ran, but did not log what Turnout needs
├── ExportFailed                no ONNX file, or not an equal one
├── PackageFailed               the bento could not be built or measured
├── ServeFailed                 a host did not become ready
├── ServiceCodeFailed           a function before or after the model failed at a request (an HTTP 500)
├── StorageFailed               the disk is full, read-only, or the store is broken
└── Interrupted                 a person pressed Ctrl-C

An error says what happened, what would be right instead, and what to do next. It survives pickling, so it can come
back from a worker process, and it is one line in a notebook.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any, ClassVar, Self


class TurnoutError(Exception):
    """The root of the tree.

    Args:
        what: What happened, naming the thing (a sentence without a full stop).
        instead: What would be right.
        then: What to do next; commands stand in backticks.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, instead: str = "", then: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.instead = instead
        self.then = then

    def __str__(self) -> str:
        said = "; ".join(part for part in (self.what, self.instead) if part)
        return f"{said}. {self.then}".rstrip() if self.then else f"{said}."

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__), self.args)

    def as_dict(self) -> dict[str, str]:
        """The error as one flat JSON object."""
        said = {"type": type(self).__name__, "what": self.what, "instead": self.instead, "next": self.then}
        return {**said, "message": str(self)}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> TurnoutError:
        """The inverse of `as_dict`: an error of the same class, which came from another process."""
        kinds = [TurnoutError]
        for kind in kinds:
            kinds.extend(kind.__subclasses__())
        kind = next((kind for kind in kinds if kind.__name__ == data.get("type")), TurnoutError)
        return kind(str(data.get("what", "")), instead=str(data.get("instead", "")), then=str(data.get("next", "")))

    def _render_traceback_(self) -> list[str]:
        """One line in a notebook, where IPython looks for this method by name.

        The last lines of a build's log, say, are set side by side; the message itself keeps them.
        """
        lines = (line.strip() for line in f"{type(self).__name__}: {self}".splitlines())
        return [" ".join(filter(None, lines))]


def _rebuild(kind: type[TurnoutError], state: dict[str, Any], args: tuple[Any, ...]) -> TurnoutError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


# BadInput is a ValueError too, so that pydantic reports it with the place it came from.
class BadInput(TurnoutError, ValueError):
    """The call was wrong: nothing was done."""

    exit_code = 2


class BadProject(BadInput):
    """The project file, or the folder it lies in, cannot be used."""


class NoProject(BadProject):
    """No project file, here or above."""


class BadRequest(BadInput):
    """A prediction request that cannot be answered.

    Args:
        status: The HTTP status, 400 to 499.
        field: Where in the body, such as `inputs[2].age`; empty when it concerns the whole request.
        kind: One stable word for programs, such as `model_error`.
    """

    def __init__(
        self,
        what: str,
        *,
        instead: str = "",
        then: str = "",
        status: int = 400,
        field: str = "",
        kind: str = "bad_request",
    ) -> None:
        super().__init__(what, instead=instead, then=then)
        self.status = status
        self.field = field
        self.kind = kind


class BadParameter(BadInput):
    """A notebook parameter with a wrong name, type or value."""


class BadServiceCode(BadInput):
    """A function for before or after the model that cannot be taken: nothing was stored or packaged."""


class NoSuchModel(BadInput):
    """The project has no model of that name."""


class NoSuchVersion(BadInput):
    """The model has no such version, or the alias points nowhere."""


class MissingExtra(BadInput):
    """An optional dependency is needed and not installed."""

    @classmethod
    def of(cls, extra: str, module: str, purpose: str) -> Self:
        """For `pip install 'turnout[extra]'`, when `module` cannot be imported."""
        return cls(
            f"{purpose} needs the module {module}, which is not installed",
            then=f"`pip install 'turnout[{extra}]'` installs it.",
        )


class Busy(TurnoutError):
    """Somebody else is at work on the same thing."""

    exit_code = 3


class Refused(TurnoutError):
    """A rule forbids it; nothing was changed."""


class NotebookFailed(TurnoutError):
    """A notebook did not run to its end."""


class NotebookRaised(NotebookFailed):
    """A cell raised an exception."""


class NotebookTimeout(NotebookFailed):
    """A cell or the whole run took longer than the project file allows."""


class KernelDied(NotebookFailed):
    """The kernel process ended while a cell was running."""


class NotebookContract(NotebookFailed):
    """The notebook ran, but did not log what Turnout needs from it."""


class ExportFailed(TurnoutError):
    """No ONNX file came out, or its answers differ from the model's."""


class PackageFailed(TurnoutError):
    """The bento could not be built or measured."""


class ServeFailed(TurnoutError):
    """A host did not become ready."""


class ServiceCodeFailed(TurnoutError):
    """A function before or after the model raised at a request, or returned what cannot be answered."""


class StorageFailed(TurnoutError):
    """The disk is full or read-only, or a store in `.turnout/` is broken."""

    @classmethod
    def from_os(cls, error: OSError, doing: str) -> Self:
        """The error for an operating system's refusal to write, with its cure."""
        where = f" {error.filename}" if error.filename else ""
        cures = {
            errno.ENOSPC: "Free some space (`turnout prune` removes old versions) and call again.",
            errno.EDQUOT: "Free some space (`turnout prune` removes old versions) and call again.",
            errno.EROFS: "Make the folder writable and call again.",
            errno.EACCES: "Make the folder writable for this user and call again.",
        }
        return cls(f"cannot write{where} while {doing}: {error.strerror}", then=cures.get(error.errno or 0, ""))


class Interrupted(TurnoutError):
    """A person pressed Ctrl-C: what had begun was undone."""

    exit_code = 130
