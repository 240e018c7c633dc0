"""Service code on disk: whole or not at all, and a person's rows in any of their forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.adapters.service_code import FileFunctions
from pipelines.errors import BadServiceCode, StorageFailed
from pipelines.values import ServiceFiles, ServiceFunction

BODY = "def preprocess(inputs):\n    return inputs\n"
FILES = ServiceFiles((ServiceFunction.of("preprocess", "digits", BODY),), '{"inputs": [1]}\n')
STORE = FileFunctions()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """The folder is made; what is no longer there is removed; nothing else is left in it."""
    folder = tmp_path / "notebooks" / "digits"
    assert STORE.read(folder) == ServiceFiles()
    STORE.write(folder, FILES)
    assert STORE.read(folder) == FILES
    assert sorted(path.name for path in folder.iterdir()) == ["preprocess.py", "preprocess.rows.json"]
    STORE.write(folder, ServiceFiles())
    assert list(folder.iterdir()) == []


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Other encodings and endless files are the person's to correct."""
    (tmp_path / "preprocess.py").write_bytes(b"# turnout: preprocess\n\xff")
    with pytest.raises(BadServiceCode, match="UTF-8"):
        STORE.read(tmp_path)
    (tmp_path / "preprocess.py").write_bytes(b"#" * 2_000_000)
    with pytest.raises(BadServiceCode, match="larger than"):
        STORE.read(tmp_path)
    (tmp_path / "preprocess.py").unlink()
    (tmp_path / "preprocess.py").mkdir()
    with pytest.raises(StorageFailed):
        STORE.read(tmp_path)


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where the folder should be: an error of ours that names it."""
    (tmp_path / "digits").write_text("")
    with pytest.raises(StorageFailed, match="storing service code"):
        STORE.write(tmp_path / "digits", FILES)


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.json", "[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("a.json", '{"inputs": [{"a": 1}]}', [{"a": 1}]),
        ("a.csv", "a,b,c,d\n1,1.5,true,x\n2,,False,\n", [[1, 1.5, True, "x"], [2, None, False, None]]),
        ("a.CSV", "\ufeffa,b,c,d\r\n1,nan,1,01\r\n\r\n-2,3,x,2\r\n", [[1, "nan", "1", 1], [-2, "3", "x", 2]]),
    ],
)
def test_rows_of_any_form_become_a_request(tmp_path: Path, name: str, text: str, rows: list[Any]) -> None:
    """JSON with or without its key; CSV with a type a column, an empty place being null."""
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    expected = rows if name.endswith(".json") else [dict(zip("abcd", row, strict=True)) for row in rows]
    assert json.loads(STORE.rows(tmp_path / name)) == {"inputs": expected}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "not JSON"),
        ("a.json", "[NaN]", "NaN is no JSON"),
        ("a.json", "3", "no list of rows"),
        ("a.json", "[]", "no list of rows"),
        ("a.csv", "", "no list of rows|each column once"),
        ("a.csv", "a,b\n", "no list of rows"),
        ("a.csv", "a,a\n1,2\n", "each column once"),
        ("a.csv", "a,b\n1\n", "row 2 of a.csv has 1 values"),
        ("a.csv", 'a\n"x', "not CSV"),
    ],
)
def test_what_is_no_rows_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    """Each with the file's name and what it has to be."""
    (tmp_path / name).write_text(text)
    with pytest.raises(BadServiceCode, match=said):
        STORE.rows(tmp_path / name)
    with pytest.raises(BadServiceCode, match="there is no file"):
        STORE.rows(tmp_path / "other.json")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(), st.text('a,\n"01.-eE \r')), st.sampled_from(["a.csv", "a.json"]))
def test_any_text_is_rows_or_refused(tmp_path: Path, text: str, name: str) -> None:
    """Never anything but an error of ours; what is taken is JSON that a request can carry."""
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        said = STORE.rows(tmp_path / name)
    except BadServiceCode:
        return
    assert json.loads(said, parse_constant=lambda name: pytest.fail(name))["inputs"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    """A team may keep one function for several models."""
    (tmp_path / "shared.py").write_text(FILES.functions[0].text)
    (tmp_path / "preprocess.py").symlink_to(tmp_path / "shared.py")
    assert STORE.read(tmp_path).functions == FILES.functions
