"""Which parameters reach a notebook, and which never do."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.adapters.notebook_parameters import checked_parameters, declared_parameters
from pipelines.errors import BadParameter, BadProject
from pipelines.values import Parameter

DECLARED: Mapping[str, Parameter | None] = {"epochs": 8, "rate": 0.5, "name": "plain", "is_fast": True, "nothing": None}


def notebook(source: str, *tags: str, before: str = "import os") -> dict[str, Any]:
    """A notebook of two code cells, the second with `tags`."""
    cells = [(before, []), (source, list(tags))]
    return {"cells": [{"cell_type": "code", "source": text, "metadata": {"tags": tag}} for text, tag in cells]}


def test_every_kind_of_default_is_read() -> None:
    """Literals keep their type, also annotated, negative or chained; what is none of our kinds is declared as None."""
    source = "a = 3\nb = -0.5  # why\nc: str = 'x'\nd = e = True\nf = None\ng = [1]\nh = 2 * 3\nprint(a)\ni, j = 1, 2"
    assert declared_parameters(notebook(source, "parameters"), "n") == {
        "a": 3,
        "b": -0.5,
        "c": "x",
        "d": True,
        "e": True,
        "f": None,
        "g": None,
        "h": None,
    }


def test_only_the_tagged_cell_declares() -> None:
    """Assignments elsewhere, and a markdown cell with the tag, declare nothing."""
    assert declared_parameters(notebook("epochs = 3", "other"), "n") == {}
    prose = {"cells": [{"cell_type": "markdown", "source": "a = 1", "metadata": {"tags": ["parameters"]}}]}
    assert declared_parameters(prose, "n") == {}


def test_the_first_tagged_cell_counts() -> None:
    """papermill injects its values behind the first one: so the names of the others are not to be set."""
    first = notebook("a = 1", "parameters")
    second = notebook("b = 2", "parameters")
    assert declared_parameters({"cells": first["cells"] + second["cells"]}, "n") == {"a": 1}


@pytest.mark.parametrize("source", ["%matplotlib inline\na = 1", "a = ", "a = 1\x00"])
def test_a_cell_that_is_no_python_is_refused(source: str) -> None:
    """Magics, broken code and null bytes are a mistake of the project, named with the tag and the notebook."""
    with pytest.raises(BadProject, match=r"`parameters` of train\.ipynb cannot be read"):
        declared_parameters(notebook(source, "parameters"), "train.ipynb")


def test_the_cell_is_never_run() -> None:
    """A default with a side effect has none."""
    assert declared_parameters(notebook("a = print('run')\nb = __import__('os').abort()", "parameters"), "n") == {
        "a": None,
        "b": None,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 3),
        ("epochs", -(10**30)),
        ("rate", 0.25),
        ("name", ""),
        ("name", "quotes \" and ' and \n and \\ and ü"),
        ("is_fast", False),
        ("nothing", 3),
        ("nothing", "text"),
        ("nothing", False),
    ],
)
def test_a_value_of_the_defaults_type_passes(name: str, value: Parameter) -> None:
    """It comes back as it is; where the default is None any kind will do."""
    passed = checked_parameters({name: value}, DECLARED, "n")[name]
    assert (passed, type(passed)) == (value, type(value))


def test_a_whole_number_becomes_a_fraction_where_one_is_expected() -> None:
    """The notebook sees the type that it declares: 1 for 0.5 arrives as 1.0."""
    passed = checked_parameters({"rate": 1}, DECLARED, "n")["rate"]
    assert (passed, type(passed)) == (1.0, float)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("epochs", True, "whole number, such as 8"),
        ("epochs", 3.0, "whole number, such as 8"),
        ("epochs", "3", "whole number, such as 8"),
        ("rate", "0.1", "finite number, such as 0.5"),
        ("rate", True, "finite number, such as 0.5"),
        ("rate", float("nan"), "finite number"),
        ("rate", float("inf"), "finite number"),
        ("rate", 10**400, "too large"),
        ("name", 3, "a text, such as 'plain'"),
        ("name", "\ud800", "Unicode"),
        ("is_fast", 1, "true or false"),
        ("nothing", [1], "a boolean, a number or a text"),
        ("nothing", float("inf"), "finite number"),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: Any, said: str) -> None:
    """A bool is no number, a text is none either; the message shows what the notebook takes."""
    with pytest.raises(BadParameter, match=name) as refused:
        checked_parameters({name: value}, DECLARED, "train.ipynb")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "name", ["epoch", "", "epochs ", "epochs = 1; import os #", "__builtins__", "Epochs", "epochs\n", "é"]
)
def test_a_name_that_is_not_declared_is_refused(name: str) -> None:
    """Names are code to papermill: whatever the notebook does not declare letter by letter never reaches it."""
    with pytest.raises(BadParameter) as refused:
        checked_parameters({name: 1}, DECLARED, "train.ipynb")
    assert repr(name) in str(refused.value)
    assert "epochs, rate, name, is_fast, nothing" in str(refused.value)


def test_the_nearest_name_is_proposed() -> None:
    """A slip of the finger is answered with the right name; a notebook without parameters says so."""
    with pytest.raises(BadParameter, match=r"Did you mean epochs\?"):
        checked_parameters({"epoch": 1}, DECLARED, "n")
    with pytest.raises(BadParameter, match="no cell of it is tagged `parameters`"):
        checked_parameters({"epoch": 1}, {}, "n")


@settings(deadline=None)
@given(st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()))
def test_papermill_writes_every_value_so_that_python_reads_it_back(value: Parameter) -> None:
    """Whatever passes the check arrives in the notebook as it was given."""
    from papermill.translators import PythonTranslator

    try:
        passed = checked_parameters({"any": value}, {"any": None}, "n")
    except BadParameter:
        assert isinstance(value, str)
        return
    line = PythonTranslator.codify(passed).splitlines()[1:]
    (assignment,) = ast.parse("\n".join(line)).body
    assert isinstance(assignment, ast.Assign)
    read = ast.literal_eval(assignment.value)
    assert (read, type(read)) == (value, type(value))
