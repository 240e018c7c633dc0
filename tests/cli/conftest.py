"""What the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.line import Line


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A project."""
    return Line(tmp_path)
