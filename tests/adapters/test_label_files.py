"""Files of labels, as people have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.adapters.label_files import read_labels
from pipelines.errors import BadInput

TWO = [("a", (3.0,)), ("b", ("bad",))]


def found(path: Path) -> list[tuple[str, tuple[Any, ...]]]:
    """What is read."""
    return [(label.request_id, label.rows) for label in read_labels(path)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", "request_id,label\na,3\nb,bad\n"),
        ("l.csv", '\ufefflabel;note;request_id\r\n3;"a; b";a\r\n\r\nbad;;b'),
        ("l.CSV", "x-turnout-id,id,label\na,1,3\nb,2,bad\n"),
        ("l.tsv", "id\tlabel\na\t3\nb\tbad\n"),
        ("l.jsonl", '{"request_id": "a", "label": 3}\n\n{"label": "bad", "request_id": "b", "more": 1}'),
        ("l.ndjson", '{"id": "a", "label": 3.0}\n{"id": "b", "label": "bad"}\n'),
    ],
)
def test_a_file_is_read_as_its_name_says(tmp_path: Path, name: str, text: str) -> None:
    """Commas, semicolons or tabs; a mark at the beginning, empty lines and more columns do no harm."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    assert found(path) == TWO


def test_parquet_is_read(tmp_path: Path) -> None:
    """As pandas writes it, also with lists."""
    import pandas as pd

    path = tmp_path / "l.parquet"
    pd.DataFrame({"request_id": ["a", "b"], "label": [[3, 4], [5, 6]], "more": [1, 2]}).to_parquet(path)
    assert found(path) == [("a", (3.0, 4.0)), ("b", (5.0, 6.0))]


def test_a_request_of_several_rows_has_a_list(tmp_path: Path) -> None:
    """In a cell of a table as JSON; what only begins like one is a text."""
    path = tmp_path / "l.csv"
    path.write_text('request_id,label\na,"[3, ""bad""]"\nb,[odd\n')
    assert found(path) == [("a", (3.0, "bad")), ("b", ("[odd",))]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("l.csv", "", "has no column request_id, only nothing"),
        ("l.csv", "request_id,label\n", "has no labels"),
        ("l.csv", "request_id,labels\na,3\n", r"no column label, only request_id, labels; .* Perhaps labels has to be"),
        ("l.csv", "request_id,label\na,3\nb\n", "line 3 of .* has 1 values; the first line has 2 names"),
        ("l.csv", "request_id,label\na,3\nb,\n", r"line 3 of .*: the label is ''; .* Leave out what is not known yet"),
        ("l.csv", "request_id,label\n,3\n", "line 2 of .*: the request id is ''"),
        ("l.csv", 'request_id,label\na,"3\n', "is no line of a table"),
        ("l.csv", f"request_id,label\na,{'x' * 140_000}\n", "is no line of a table"),
        ("l.jsonl", "", "has no labels"),
        ("l.jsonl", '{"request_id": "a", "label": 3}\n{"request_id"', "line 2 of .* is no JSON"),
        ("l.jsonl", "[1]\n", "line 1 of .* is no object"),
        ("l.jsonl", '{"request_id": "a", "label": null}\n', "the label is null"),
        ("l.jsonl", '{"request_id": "a", "label": {"x": 1}}\n', "the label is {"),
        ("l.jsonl", '{"request_id": "a", "label": NaN}\n', "the label is nan"),
        ("l.parquet", "no parquet", "is no Parquet file"),
        ("l.xlsx", "", r"of no kind that is known; its name ends with \.csv"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, name: str, text: str, says: str) -> None:
    """One sentence that names the line, and what is wrong with it."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=says):
        found(path)


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """A file that is not there, a folder, another encoding."""
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        found(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadInput, match="cannot be read"):
        found(tmp_path / "folder.csv")
    (tmp_path / "latin.csv").write_bytes("request_id,label\na,gr\xfcn\n".encode("latin-1"))
    with pytest.raises(BadInput, match="is not UTF-8 text"):
        found(tmp_path / "latin.csv")
