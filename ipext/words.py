"""The words of a magic's line: as in a shell, with Python's values in them.

`$name`, `$name.attribute` and `{expression}` stand for values, but not between quotes: there every character stands
for itself, so that a reason may say `'costs $5 {more}'`. A value is one word, whatever is in it. `$$`, `{{` and `}}`
are `$`, `{` and `}`; a backslash takes the next character as it is. What follows a `#` that begins a word is a comment.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.errors import BadInput

_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


def split(line: str, values: Mapping[str, Any]) -> list[str]:
    """The words of a line.

    Args:
        line: What stands after the magic's name.
        values: Python's names, for `$name` and `{expression}`.

    Raises:
        BadInput: a quotation or a brace is not closed, or a name or an expression has no value.
    """
    return _Reader(line, values).words()


def typed(words: Sequence[str]) -> list[str]:
    """The words, each of which could be typed in a terminal too.

    Raises:
        BadInput: one holds what the system passes to no command: a NUL, or half of a character.
    """
    for word in words:
        try:
            is_typed = b"\0" not in os.fsencode(word)
        except UnicodeEncodeError:
            is_typed = False
        if not is_typed:
            raise BadInput(f"{word!r} holds what no command can be given", instead="a word is of whole characters")
    return list(words)


class _Reader:
    def __init__(self, line: str, values: Mapping[str, Any]) -> None:
        self._line = line
        self._values = values
        self._at = 0
        self._words: list[str] = []
        self._word: str | None = None

    def words(self) -> list[str]:
        while self._at < len(self._line):
            self._take()
        self._end_word()
        return self._words

    def _take(self) -> None:
        character = self._line[self._at]
        pair = self._line[self._at : self._at + 2]
        if character.isspace():
            self._end_word()
            self._at += 1
        elif character == "#" and self._word is None:
            self._at = len(self._line)
        elif character in "'\"":
            self._quoted(character)
        elif pair in ("$$", "{{", "}}"):
            self._add(character, 2)
        elif character == "\\" and len(pair) == 2:
            self._add(pair[1], 2)
        elif character == "$" and (name := _NAME.match(self._line, self._at + 1)):
            self._add(self._value(name.group()), name.end() - self._at)
        elif character == "{":
            self._expression()
        else:
            self._add(character, 1)

    def _add(self, text: str, width: int) -> None:
        self._word = (self._word or "") + text
        self._at += width

    def _end_word(self) -> None:
        if self._word is not None:
            self._words.append(self._word)
        self._word = None

    def _quoted(self, mark: str) -> None:
        begun = self._at
        said: list[str] = []
        self._at += 1
        while self._at < len(self._line):
            character = self._line[self._at]
            if character == mark:
                self._add("".join(said), 1)
                return
            # As in a shell, only double quotes know the backslash, and only before themselves and itself.
            if mark == '"' and character == "\\" and self._line[self._at + 1 : self._at + 2] in ('"', "\\"):
                self._at += 1
                character = self._line[self._at]
            said.append(character)
            self._at += 1
        raise BadInput(f"the quotation that begins with {self._line[begun : begun + 20]!r} is not closed")

    def _expression(self) -> None:
        # A brace may stand within an expression too: the shortest text that Python can read is meant.
        end = self._at
        while (end := self._line.find("}", end + 1)) >= 0:
            inside = self._line[self._at + 1 : end].strip()
            if inside and _is_expression(inside):
                self._add(self._value(inside), end + 1 - self._at)
                return
        shown = self._line[self._at : self._at + 20]
        raise BadInput(
            f"{shown!r} is no expression in braces",
            then="Quote the text, or write {{ for a brace that stands for itself.",
        )

    def _value(self, expression: str) -> str:
        try:
            value = eval(expression, {"__builtins__": __builtins__, **self._values})  # noqa: S307 - the user's own code
        except Exception as error:  # noqa: BLE001 - whatever the user's own expression raises
            raise BadInput(
                f"{expression} has no value here: {type(error).__name__}: {error}",
                then="Quote the text if it stands for itself.",
            ) from None
        return str(value)


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True
