"""The parameters a notebook declares, and the check of those it is given.

papermill writes `name = value` lines into the notebook: a crafted name would be executed. So only names that the cell
tagged `parameters` assigns ever reach it, and the cell is parsed, never run.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Mapping
from typing import Any

from pipelines.errors import BadParameter, BadProject
from pipelines.values import Parameter

TAG = "parameters"
_KINDS = {bool: "true or false", int: "a whole number", float: "a finite number", str: "a text"}


def declared_parameters(notebook: Mapping[str, Any], name: str) -> dict[str, Parameter | None]:
    """The names that the first cell tagged `parameters` assigns, with their defaults.

    Args:
        notebook: The notebook in format 4.
        name: What to call it in messages.

    Returns:
        The defaults by name in the order of the cell; None for a default that is no boolean, number or text.

    Raises:
        BadProject: the cell is not plain Python.
    """
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cell = next((cell for cell in cells if TAG in cell["metadata"].get("tags", ())), None)
    if cell is None:
        return {}
    try:
        tree = ast.parse(cell["source"])
    except (SyntaxError, ValueError) as error:
        raise BadProject(
            f"the cell tagged `{TAG}` of {name} cannot be read: {error}",
            instead="it holds plain Python, one `name = literal` a line, without magics",
        ) from error
    found: dict[str, Parameter | None] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        found.update({target.id: _default(value) for target in targets if isinstance(target, ast.Name)})
    return found


def _default(node: ast.expr) -> Parameter | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, bool | int | float | str) else None


def checked_parameters(
    given: Mapping[str, Parameter], declared: Mapping[str, Parameter | None], name: str
) -> dict[str, Parameter]:
    """`given` as the notebook gets it: a whole number becomes a float where the default is one.

    Args:
        given: Values by name.
        declared: What `declared_parameters` returned.
        name: What to call the notebook in messages.

    Raises:
        BadParameter: a name that is not declared, or a value of another type than its default.
    """
    return {key: _checked(key, value, declared, name) for key, value in given.items()}


def _checked(key: str, value: Parameter, declared: Mapping[str, Parameter | None], name: str) -> Parameter:
    if not key.isidentifier() or key not in declared:
        near = difflib.get_close_matches(key, declared, n=1)
        instead = f"it declares {', '.join(declared)}" if declared else f"no cell of it is tagged `{TAG}`"
        raise BadParameter(
            f"{name} has no parameter {key!r}", instead=instead, then=f"Did you mean {near[0]}?" if near else ""
        )
    default = declared[key]
    wanted = type(default) if default is not None else type(value)
    if wanted is float and type(value) is int:
        value = _as_float(value, key)
    # A bool is an int to Python, and not to a person.
    if type(value) is not wanted or wanted not in _KINDS:
        raise BadParameter(
            f"the parameter {key} of {name} is {value!r}",
            instead=f"it takes {_KINDS.get(wanted, 'a boolean, a number or a text')}, such as {default!r}",
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise BadParameter(f"the parameter {key} of {name} is {value!r}", instead="it takes a finite number")
    if isinstance(value, str) and not value.isascii() and value.encode("utf-8", "ignore").decode() != value:
        raise BadParameter(f"the parameter {key} of {name} is no valid Unicode text: {value!r}")
    return value


def _as_float(value: int, key: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise BadParameter(f"the parameter {key} is too large for a float", instead="at most 1.8e308") from None
