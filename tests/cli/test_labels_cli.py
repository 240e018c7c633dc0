"""`turnout labels`: what is typed, what is shown, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.errors import BadInput, NoSuchModel
from pipelines.local.captures.folder import CaptureFolder
from pipelines.values import CaptureSettings
from tests.cli.line import Line


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A project whose hosts have kept two answers of digits@2."""
    captures = CaptureFolder(tmp_path / ".turnout" / "captures")
    captures.set("digits", CaptureSettings(rate=1.0))
    segment = captures.path / "digits@2" / "20260131T120000-a.jsonl"
    segment.parent.mkdir()
    known = {"request_id": "", "time": "2026-01-31T12:00:00+00:00", "version": "digits@2", "arm": ""}
    lines = [json.dumps({"id": key, **known, "outputs": [[0.1, 0.9]]}) for key in "ab"]
    segment.write_text("\n".join(lines) + "\n")
    return Line(tmp_path)


def test_labels_of_a_file_become_the_quality_of_versions(line: Line) -> None:
    """No daemon is asked; afterwards the command without a file shows the same."""
    (line.root / "truth.csv").write_text("request_id,label\na,1\nb,0\nc,1\n")
    found = line("labels", "digits", str(line.root / "truth.csv")).json()
    (quality,) = found["versions"]["digits@2"]
    assert (quality["kind"], quality["value"], quality["requests"]) == ("accuracy", 0.5, 2)
    assert (found["taken"]["joined"], found["taken"]["waiting"]) == (2, 1)
    again = line("labels", "digits").json()
    assert (again["versions"], again["taken"]) == (found["versions"], None)
    assert line.operator.asked == []


def test_without_labels_it_says_how_to_bring_some(line: Line) -> None:
    """And writes nothing."""
    assert (
        line("labels", "digits").text() == "No labels of digits have come; `turnout labels digits FILE` takes some in."
    )
    assert not (line.root / ".turnout" / "labels.db").exists()


def test_a_wrong_call_is_refused(line: Line) -> None:
    """A model or a file that is not there; nothing is kept of a file with a wrong line."""
    with pytest.raises(NoSuchModel, match="no model 'nothing'"):
        line("labels", "nothing")
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        line("labels", "digits", str(line.root / "none.csv"))
    (line.root / "truth.jsonl").write_text('{"request_id": "a", "label": 1}\n{"request_id": "b"}\n')
    with pytest.raises(BadInput, match="has no column label"):
        line("labels", "digits", str(line.root / "truth.jsonl"))
    assert "No labels of digits have come" in line("labels", "digits").text()
