"""Who takes part."""

from __future__ import annotations

import pytest

from benchmarks.environments import ROOT
from benchmarks.field import contenders
from benchmarks.report import OURS, RATE_AIMS
from benchmarks.serving import ROUNDS, arguments, chosen
from pipelines.errors import BadInput


def test_each_aim_has_its_contender_and_shares_a_round_with_turnout() -> None:
    """Without a common round there would be no ratio."""
    rounds = {contender.name: contender.rounds & set(range(ROUNDS)) for contender in contenders()}
    assert set(rounds) == {OURS, *RATE_AIMS}
    assert all(rounds[name] & rounds[OURS] for name in RATE_AIMS)


def test_an_environment_of_its_own_is_pinned() -> None:
    """Each line is a comment or names one exact version, and no index."""
    needs = [contender.needs for contender in contenders() if contender.needs]
    for name in needs:
        lines = (ROOT / "benchmarks" / f"requirements-{name}.txt").read_text().splitlines()
        pins = [line for line in lines if not line.startswith("#")]
        assert f"{name}==" in "\n".join(pins)
        assert [line for line in pins if line.count("==") != 1 or "://" in line] == []
    assert len(needs) == 2


def test_some_can_be_left_out() -> None:
    """In the order of the field, not of the option."""
    assert [contender.name for contender in chosen(contenders(), "bare, turnout")] == ["turnout", "bare"]
    assert len(chosen(contenders(), "")) == len(contenders())


def test_an_unknown_contender_is_refused() -> None:
    """The message lists those there are."""
    with pytest.raises(BadInput, match="no contender 'tomcat'; there are turnout, bare"):
        chosen(contenders(), "bare,tomcat")


def test_a_part_is_not_written_into_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    """Tables without all contenders, or of one short round, would replace those of a whole run."""
    for part in ("--quick", "--only=bare"):
        with pytest.raises(SystemExit):
            arguments([part, "--write-docs"])
        assert "whole run" in capsys.readouterr().err
