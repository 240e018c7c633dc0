"""What has changed since a stage ran, in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pipelines.policy.reasons import changes, parameter_changes, told
from pipelines.policy.reuse import why_train
from pipelines.values import Dependencies, ModelVersion, Provenance, VersionRef

BEFORE = Dependencies(
    "train.ipynb",
    ("a", "b", "c", "d"),
    {"data/digits.csv": "1", "data/more.csv": "2"},
    {"features.py": "3"},
    {"requirements.lock": "4"},
    {"features": "features@1"},
)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({}, ()),
        ({"cells": ("a", "b", "c", "x")}, ("cell 4 changed",)),
        ({"cells": ("a", "new", "b", "c", "d")}, ("cell 2 is new",)),
        ({"cells": ("a", "c", "d")}, ("cell 2 is gone",)),
        ({"cells": ("x", "y", "c", "d")}, ("cell 1 changed", "cell 2 changed")),
        ({"inputs": {"data/digits.csv": "9", "data/more.csv": "2"}}, ("data/digits.csv changed",)),
        ({"inputs": {"data/digits.csv": "1"}}, ("data/more.csv is gone",)),
        ({"modules": {"features.py": "3", "shapes.py": "5"}}, ("module shapes.py is new",)),
        ({"modules": {"features.py": "9"}}, ("module features.py changed",)),
        ({"lock": {"requirements.lock": "9"}}, ("requirements.lock changed",)),
        ({"lock": {"uv.lock": "4"}}, ("uv.lock is new", "requirements.lock is gone")),
        ({"upstream": {"features": "features@2"}}, ("features changed",)),
    ],
)
def test_each_part_is_told_by_its_name(now: dict[str, Any], said: tuple[str, ...]) -> None:
    """A person reads which cell, file, module or lock it was, and nothing of what stayed."""
    assert changes(BEFORE, replace(BEFORE, **now)) == said


def test_nothing_is_said_where_nothing_was_recorded() -> None:
    """A version of an earlier release has no parts: no reason is made up."""
    assert changes(None, BEFORE) == ()


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"epochs": 2}, {"epochs": 4}, ("parameter epochs 2 -> 4",)),
        ({"epochs": 1}, {"epochs": True}, ("parameter epochs 1 -> True",)),
        ({"epochs": 1}, {"epochs": 1.0}, ("parameter epochs 1 -> 1.0",)),
        ({}, {"name": "cnn"}, ("parameter name is new ('cnn')",)),
        ({"name": "cnn"}, {}, ("parameter name is gone (it was 'cnn')",)),
        ({"epochs": 2}, {"epochs": 2}, ()),
    ],
)
def test_parameters_are_told_with_both_values(before: Any, now: Any, said: tuple[str, ...]) -> None:
    """Also where Python calls the two equal and a notebook does not."""
    assert parameter_changes(before, now) == said


def test_many_reasons_are_counted() -> None:
    """A folder of a thousand changed files fills no page."""
    assert told([f"file {number} changed" for number in range(10)]).endswith("file 3 changed and 6 more")


def version(number: int, made_from: Provenance, **parameters: Any) -> ModelVersion:
    """A version of the model m."""
    return ModelVersion(
        VersionRef("m", number), "run", "models:/m", datetime(2026, 1, 1, tzinfo=UTC), parameters, provenance=made_from
    )


def test_the_first_training_says_that_it_is_the_first() -> None:
    """There is nothing to compare with."""
    assert why_train([], Provenance("n", parts=BEFORE), {}) == ("there is no version yet",)


def test_a_training_is_compared_with_the_newest_version() -> None:
    """Code and parameters in one breath."""
    made_from = Provenance("n", parts=replace(BEFORE, modules={"features.py": "9"}), code_digest="c")
    known = [version(1, Provenance("n"), epochs=9), version(2, Provenance("n", parts=BEFORE), epochs=2)]
    assert why_train(known, made_from, {"epochs": 4}) == ("module features.py changed", "parameter epochs 2 -> 4")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"notebook_digest": "x"}, "a code cell changed"),
        ({"data_digest": "x"}, "the data changed"),
        ({"code_digest": "x"}, "an imported module changed"),
        ({"lock_digest": "x"}, "the environment's lock changed"),
        ({"upstream_digest": "x"}, "an upstream model changed"),
    ],
)
def test_a_version_without_parts_is_told_by_its_digests(changed: dict[str, str], said: str) -> None:
    """What an earlier release recorded still says of what kind the change is."""
    before = Provenance("n", "d", "l")
    assert why_train([version(1, before)], replace(before, parts=BEFORE, **changed), {}) == (said,)


def test_parts_survive_being_stored() -> None:
    """As JSON and back; what a later release adds does no harm."""
    assert Dependencies.from_dict(BEFORE.as_dict()) == BEFORE
    assert Dependencies.from_dict({**BEFORE.as_dict(), "later": 1}) == BEFORE
