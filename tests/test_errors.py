"""The error tree: what a person reads, what a program gets, and that both survive a process boundary."""

from __future__ import annotations

import errno
import pickle

import pytest

from pipelines import errors
from pipelines.errors import BadInput, BadRequest, MissingExtra, StorageFailed, TurnoutError


def tree() -> list[type[TurnoutError]]:
    """Every class of the tree."""
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, TurnoutError)]
    return sorted(found, key=lambda kind: kind.__name__)


def test_an_error_says_what_what_instead_and_what_next() -> None:
    """The three parts become one readable line."""
    error = BadInput("there is no 9", instead="there are 4 and 5", then="`turnout versions digits` lists them.")
    assert str(error) == "there is no 9; there are 4 and 5. `turnout versions digits` lists them."


def test_a_bare_error_is_a_sentence() -> None:
    """Without the other parts the line ends in one full stop."""
    assert str(BadInput("there is no 9")) == "there is no 9."


@pytest.mark.parametrize("kind", tree())
def test_every_error_survives_pickling(kind: type[TurnoutError]) -> None:
    """An error comes back from a worker process with its class, its parts and its message."""
    error = kind("what", instead="instead", then="then.")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(back) is kind
    assert str(back) == str(error)
    assert back.as_dict() == error.as_dict()


def test_a_requests_error_keeps_its_field_when_pickled() -> None:
    """Attributes beyond the three parts are kept too."""
    back = pickle.loads(pickle.dumps(BadRequest("no", status=422, field="inputs[2].age")))  # noqa: S301
    assert (back.status, back.field) == (422, "inputs[2].age")


def test_every_error_stands_in_the_drawing_at_the_top() -> None:
    """The tree at the top of the module names every class, so that it can be trusted."""
    drawn = errors.__doc__ or ""
    assert [kind.__name__ for kind in tree() if kind.__name__ not in drawn] == []


@pytest.mark.parametrize("kind", tree())
def test_exit_codes_are_those_of_the_drawing(kind: type[TurnoutError]) -> None:
    """2 for a wrong call, 3 for busy, 130 for Ctrl-C, 1 for everything else."""
    special = {errors.Busy: 3, errors.Interrupted: 130}
    expected = 2 if issubclass(kind, BadInput) else special.get(kind, 1)
    assert kind.exit_code == expected


def test_a_notebook_shows_one_line() -> None:
    """IPython finds a rendering of its own and shows no traceback."""
    assert BadInput("no")._render_traceback_() == ["BadInput: no."]


def test_bad_input_is_a_value_error() -> None:
    """pydantic and foreign code that expect a ValueError get one."""
    assert issubclass(BadInput, ValueError)


def test_a_missing_extra_names_the_command() -> None:
    """The message has what to install."""
    said = str(MissingExtra.of("sklearn", "skl2onnx", "the export"))
    assert "skl2onnx" in said
    assert "pip install 'turnout[sklearn]'" in said


@pytest.mark.parametrize(
    ("number", "cure"), [(errno.ENOSPC, "turnout prune"), (errno.EROFS, "writable"), (errno.EACCES, "writable")]
)
def test_a_disk_that_refuses_has_a_cure(number: int, cure: str) -> None:
    """A full and a read-only disk each say what to do, and name the file."""
    said = str(StorageFailed.from_os(OSError(number, "refused", "/data/x"), "building"))
    assert cure in said
    assert "/data/x" in said
    assert "building" in said
