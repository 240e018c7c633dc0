"""Views of what later truth says."""

from __future__ import annotations

import re

from pipelines.values.labels import LabelSummary, Quality
from pipelines.views import DeploymentView
from tests.view_examples import entry, labelled


def test_the_quality_stands_in_the_status() -> None:
    """What later labels say of a version is seen where its share is; without labels there is no line."""
    quality = LabelSummary({"digits@2": (Quality("accuracy", 0.9312, 0.9, 0.95, 1480, 1480, 102),)}).as_dict()
    shown = DeploymentView("digits", {**entry("x"), "quality": quality}).text()
    assert re.search(r"quality of digits@2 +accuracy 0\.931 \(0\.9 to 0\.95\), 1,480 requests", shown)
    assert "quality" not in DeploymentView("digits", {**entry("x"), "quality": None}).text()


def test_labels_say_what_became_of_them() -> None:
    """Those that found their answers, those that could not, and doubts about names that are never equal."""
    shown = " ".join(labelled("a reason").text().split())
    assert "480 of 4,389 labels found their answers." in shown
    assert "3,900: their requests were not kept: 10 % of the requests are kept" in shown
    assert "b3f1: a reason" in shown
    assert "Not one label is equal to an answer of digits@3" in shown
