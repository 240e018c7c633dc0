"""`make demo`, the first thing that a newcomer types."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.quickstart import copy_project

pytestmark = [pytest.mark.tensorflow, pytest.mark.long]


def test_the_demo_goes_into_production_and_back(tmp_path: Path) -> None:
    """It ends well: gates, proof, an answer that equals Keras', a canary, a promotion, a bad version, the way back."""
    project = copy_project(tmp_path / "turnout")
    demo = project / "notebooks" / "digits" / "demo.py"
    done = subprocess.run([sys.executable, str(demo)], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    said = done.stdout
    for part in (
        r"accuracy +PASS",
        r"proof +at most \S+ apart .* on 360 rows, 100 % the same top class",
        r"largest difference of any probability: \S+",
        r"The OpenAPI page is http://127\.0\.0\.1:\d+/digits/",
        r"digits@2 was started beside the live version and has 10 % of the traffic",
        r"digits@2 has passed its bake .* and is the champion",
        r"digits@3  FAIL",
        r"Rolled back in \S+ s; the last request of digits@3 began \d+ ms after the command",
        r"What to try next:",
        r"Stopped: digits",
    ):
        assert re.search(part, said), f"{part} is not in:\n{said}"
    assert set(re.findall(r"Answers since: .*; failed (\d+)", said)) == {"0"}
