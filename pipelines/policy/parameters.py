"""Read parameters as a person types them: the notebook's default gives the type."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping

from pipelines.errors import BadParameter
from pipelines.values import Parameter

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_KINDS = {bool: "true or false", int: "a whole number", float: "a finite number"}


def read_parameters(
    texts: Mapping[str, str], defaults: Mapping[str, Parameter | None], notebook: str
) -> dict[str, Parameter]:
    """The typed values of `texts`.

    Args:
        texts: Values by parameter name, as typed.
        defaults: What the notebook declares.
        notebook: Its name, for messages.

    Raises:
        BadParameter: a name that is not declared, or a text that is no value of the default's type.
    """
    return {name: _read(name, text, defaults, notebook) for name, text in texts.items()}


def _read(name: str, text: str, defaults: Mapping[str, Parameter | None], notebook: str) -> Parameter:
    if name not in defaults:
        near = difflib.get_close_matches(name, defaults, n=1)
        raise BadParameter(
            f"{notebook} has no parameter {name!r}",
            instead=f"it declares {', '.join(defaults) or 'none'}",
            then=f"Did you mean {near[0]}?" if near else "",
        )
    default = defaults[name]
    try:
        return _value(text, default)
    except ValueError:
        raise BadParameter(
            f"the parameter {name} is {text!r}",
            instead=f"{notebook} takes {_KINDS[type(default)]}, such as {str(default).lower()}",
        ) from None


def _value(text: str, default: Parameter | None) -> Parameter:
    # bool before int: True is an int to Python.
    if isinstance(default, bool):
        try:
            return _BOOLEANS[text.strip().lower()]
        except KeyError:
            raise ValueError(text) from None
    if isinstance(default, int):
        return int(text)
    if isinstance(default, float):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(text)
        return number
    return text
