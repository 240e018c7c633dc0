"""A sweep on a Ray cluster of two nodes, by the real command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.ray_nodes import two_nodes
from tests.e2e.line import CREDIT, ROOT, make_project

pytestmark = pytest.mark.long


def test_the_same_sweep_runs_on_a_cluster(tmp_path: Path) -> None:
    """Every run is a version, the best passes its gates, and the cluster is left as it was."""
    project = make_project(tmp_path / "p", CREDIT, credit=ROOT / "tests" / "notebooks" / "credit")
    words = ("sweep", "credit", "-p", "seed", "1,2", "--by", "accuracy", "--engine", "ray", "--json")
    with two_nodes() as address:
        swept = project.turnout(*words, RAY_ADDRESS=address, TURNOUT_WARM_KERNELS="0").document
        again = project.turnout(*words, RAY_ADDRESS=address, TURNOUT_WARM_KERNELS="0").document
    assert swept["ok"]
    assert {run["ref"] for run in swept["runs"]} == {"credit@1", "credit@2"}
    assert [run["ref"] for run in again["runs"]] == [run["ref"] for run in swept["runs"]]
    versions = project.json("versions", "credit")["versions"]
    assert sorted(version["ref"] for version in versions) == ["credit@1", "credit@2"]
    project.turnout("down", "--yes")
