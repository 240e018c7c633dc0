"""What a person sees of drift."""

from __future__ import annotations

from typing import Any

from pipelines.values.drift import DriftWindow, Finding
from pipelines.views import DriftView, StatusView
from tests.view_examples import NOON, drifted, entry


def told(*findings: Finding, **changes: Any) -> DriftView:
    """One version with one window."""
    window = DriftWindow(500, NOON, NOON, findings).as_dict()
    one = {**drifted("age").told["versions"]["digits@3"], "left_out": [], "windows": [window]}
    return DriftView({**drifted("age").told, "versions": {"digits@3": one}, **changes})


def finding(name: str, psi: float, *, is_drift: bool = False) -> Finding:
    """A feature."""
    return Finding(name, 500, psi, 0.1, 0.5, None, is_drift)


def test_each_version_has_its_features_and_what_they_are_measured_by() -> None:
    """The index, from which one on it counts, how sure it is, and how far it has moved."""
    text = str(drifted("age"))
    (row,) = [line for line in text.splitlines() if line.lstrip().startswith("age") and "0.341" in line]
    assert all(said in row for said in ("0.112", "2e-09", "+0.48 sd", "drift"))
    assert "at most 1 % and the PSI at least 0.1" in text
    assert "held against 360 validation rows" in text


def test_a_version_without_a_reference_says_why() -> None:
    """And shows no table."""
    text = str(drifted("no file"))
    assert "no reference: no file." in text


def test_what_has_drifted_is_shown_however_many_lie_above_it() -> None:
    """A feature of few kinds may have drifted with a low index, below the fifteenth place."""
    many = [finding(f"f{place}", 1.0 - place / 100) for place in range(40)]
    view = told(*many, finding("rare", 0.11, is_drift=True))
    assert "rare" in str(view)
    assert "and 25 more below" in str(view)
    assert len(view.document()["versions"]["digits@3"]["windows"][0]["features"]) == 41


def test_nothing_watched_is_said() -> None:
    """Switched off, or nothing that runs: no empty table."""
    off = {**drifted("x").told["settings"], "is_on": False}
    assert "the project file says so" in str(told(settings=off))
    assert "Nothing of digits runs" in str(told(versions={}))


def test_the_status_tells_of_a_drift_and_of_nothing_else() -> None:
    """A version that is clear, or waits for rows, takes no line."""
    states = {"digits@1": "clear", "digits@2": "drifting", "digits@3": "waiting"}
    versions = {ref: {"state": state, "says": f"{ref} says"} for ref, state in states.items()}
    shown = str(StatusView({"models": {"digits": {**entry("x"), "drift": {"versions": versions}}}}))
    assert "drifting: digits@2 says" in shown
    assert "digits@1 says" not in shown
    assert "digits@3 says" not in shown
