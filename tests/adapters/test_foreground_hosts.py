"""A host in the foreground: which ports it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.adapters.hosts import ForegroundHosts
from pipelines.errors import BadInput

HOST = """
import pathlib, sys
pathlib.Path("asked").write_text(" ".join(sys.argv[1:]))
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A bento whose host writes down what it was asked, and ends."""
    package = tmp_path / "pipelines" / "serving"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "host.py").write_text(HOST)
    return tmp_path


@pytest.mark.parametrize("port", [0, 1, 65535])
def test_a_port_reaches_the_bentos_own_host(sources: Path, port: int) -> None:
    """Also 0, for a free one, which the host itself proposes when another one is taken."""
    ForegroundHosts().serve(sources, port)
    assert (sources / "asked").read_text() == f"--bento {sources} --port {port}"


@pytest.mark.parametrize("port", [-1, 65536])
def test_what_is_no_port_starts_nothing(sources: Path, port: int) -> None:
    """The message says what is one."""
    with pytest.raises(BadInput, match="between 1 and 65535; 0 takes a free one"):
        ForegroundHosts().serve(sources, port)
    assert not (sources / "asked").exists()
