"""The words of a magic's line."""

from __future__ import annotations

import shlex
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipext.words import split
from pipelines.errors import BadInput

VALUES = {"v": "digits@7", "n": 3, "names": {"a": "x y"}, "it": SimpleNamespace(ref="digits@8")}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  digits@7   --canary 10 ", ["digits@7", "--canary", "10"]),
        ("'two words' \"and 'more'\"", ["two words", "and 'more'"]),
        ("a'b c'd", ["ab cd"]),
        ("'' x", ["", "x"]),
        (r"a\ b \$v \{n", ["a b", "$v", "{n"]),
        (r'"say \"no\" \n"', ['say "no" \\n']),
        ("$v {v} $it.ref", ["digits@7", "digits@7", "digits@8"]),
        ("--canary={n * 10}", ["--canary=30"]),
        ("{names['a']} {{n}} $$v", ["x y", "{n}", "$v"]),
        ("{ {1: 2}[1] }", ["2"]),
        ("--reason 'costs $5 {more}' \"$v {n}\"", ["--reason", "costs $5 {more}", "$v {n}"]),
        ("5$ $ }", ["5$", "$", "}"]),
        ("digits@7  # it's {unknown}, $x and so on", ["digits@7"]),
        ("a#1 '# 2' \\#3 ''#4", ["a#1", "# 2", "#3", "#4"]),
    ],
)
def test_a_line_is_read_as_in_a_shell(line: str, words: list[str]) -> None:
    """Values stand for themselves outside quotes only, and are one word each."""
    assert split(line, VALUES) == words


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--reason 'it", "not closed"),
        ('"', "not closed"),
        ("{unknown}", "unknown has no value here: NameError"),
        ("$unknown", "unknown has no value here"),
        ("{1 / 0}", "ZeroDivisionError"),
        ("{n", "no expression in braces"),
        ("{}", "no expression in braces"),
        ("{import os}", "no expression in braces"),
    ],
)
def test_what_cannot_be_read_is_told(line: str, says: str) -> None:
    """In one sentence."""
    with pytest.raises(BadInput, match=says):
        split(line, VALUES)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=6))
def test_what_a_shell_quotes_comes_back(words: list[str]) -> None:
    """Whatever is in the words."""
    assert split(shlex.join(words), VALUES) == words


@given(st.text(max_size=60))
def test_any_line_is_words_or_a_clear_error(line: str) -> None:
    """Never anything else."""
    try:
        words = split(line, {})
    except BadInput:
        return
    assert all(isinstance(word, str) for word in words)
