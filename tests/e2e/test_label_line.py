"""A canary that answers quickly, always, and wrongly: only the truth that comes later tells."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.e2e.running import RunningLine, running_line, wait_until
from tests.serving.bentos import tensor_rows

SETTINGS = """
judge = true
steps = [50, 100]
min_minutes = 30
[tool.turnout.models.digits.capture]
rate = 1.0
"""


def asked(line: RunningLine, count: int) -> dict[str, int]:
    """Ask for single rows; by the gateway's id, what version 1 says of the same row."""
    truth = {}
    with httpx.Client() as client:
        for row in tensor_rows(count, 11):
            body = {"inputs": [row]}
            answer = client.post(line.url(), json=body)
            right = client.post(line.url(), json=body, headers={"x-turnout-version": "digits@1"}).json()["outputs"][0]
            truth[answer.headers["x-turnout-id"]] = right.index(max(right))
    return truth


def test_a_canary_whose_answers_are_wrong_is_rolled_back_by_labels(tmp_path: Path) -> None:
    """Half of them come while it is judged, half by another daemon than the one that saw the requests."""
    with running_line(tmp_path / "project", versions=1, settings=SETTINGS) as line:
        line.shelf.add(2, "shifted")
        line.deploy(1)
        line.deploy(2, share=50)
        wait_until(lambda: (line.state / "captures" / "digits.json").exists(), "the hosts are told what to keep")
        wait_until(lambda: bool(line.entry()["rollout"]), "the judge looks")
        truth = asked(line, 120)
        url = line.url().replace("/predict", "/labels")
        labels = [{"request_id": key, "label": label} for key, label in truth.items()]
        assert httpx.post(url, json=labels[:20]).json()["accepted"] == 20
        wait_until(lambda: line.entry()["quality"] is not None, "the first labels")
        line.kill("daemon")
        assert httpx.post(url, json=labels[20:]).status_code == 202
        wait_until(lambda: line.entry()["phase"] == "live", "the rollback", 60)
        entry = line.entry()
        assert line.weights() == {"digits@1": 100}
        assert "too many wrong answers" in entry["quarantined"]["digits@2"]
        (event,) = [one for one in line.control.operator.history("digits") if one["action"] == "rollback"]
        seen = event["evidence"]["judge"]["streams"]["wrong"]
        assert seen["stable"] == 0
        assert 5 <= seen["candidate"] <= 120
        shown = line.turnout("labels", "digits").out
        assert "digits@1" in shown
        assert "digits@2" in shown


def test_a_canary_that_was_wrong_as_a_shadow_is_rolled_back(tmp_path: Path) -> None:
    """What both answered is compared request by request: its own traffic is not needed for that."""
    with running_line(tmp_path / "project", versions=1, settings=SETTINGS) as line:
        line.shelf.add(2, "shifted")
        line.deploy(1)
        line.deploy(2, share="shadow")
        wait_until(lambda: (line.state / "captures" / "digits.json").exists(), "the hosts are told what to keep")
        truth = asked(line, 60)
        labels = [{"request_id": key, "label": label} for key, label in truth.items()]
        assert httpx.post(line.url().replace("/predict", "/labels"), json=labels).json()["accepted"] == 60

        def is_known() -> bool:
            known = (line.entry()["quality"] or {"versions": {}})["versions"]
            return len(known) == 2 and all(one["requests"] == 60 for (one,) in known.values())

        wait_until(is_known, "what both answered")
        line.deploy(2, share=50)
        wait_until(lambda: line.entry()["phase"] == "live", "the rollback", 30)
        assert line.weights() == {"digits@1": 100}
        (event,) = [one for one in line.control.operator.history("digits") if one["action"] == "rollback"]
        assert "of the requests that both answered digits@2 alone got" in event["reason"]
        assert event["evidence"]["judge"]["streams"]["pairs"]["stable"] == 0
