"""What the files of several systems share: their first lines, and words in YAML."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z./][A-Za-z0-9 ./=&_@+()<>|-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def heading(system: str, mark: str) -> str:
    """The first lines, as comments behind `mark`."""
    lines = [
        f"Written by `turnout init . --ci {system}`; its settings are [tool.turnout.ci] in pyproject.toml.",
        "To write it anew after a change there, remove this file and type that again.",
    ]
    return "".join(f"{mark} {line}\n" for line in lines)


def scalar(text: str) -> str:
    """A text as one line of YAML: as it is where that is safe, else in quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and text == text.strip():
        return text
    return "'" + text.replace("'", "''") + "'"


def indented(text: str, spaces: int) -> str:
    """Each line moved to the right."""
    return "".join(f"{' ' * spaces}{line}" if line.strip() else line for line in text.splitlines(keepends=True))
