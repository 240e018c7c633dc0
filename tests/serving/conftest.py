"""Bentos and servers that the serving tests share: each is made once a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.bentos import Server, make_slow_bento, make_table_bento, make_tensor_bento, running_host


@pytest.fixture(scope="session")
def tensor_bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source folder of `digits@7`."""
    return make_tensor_bento(tmp_path_factory.mktemp("digits") / "src")


@pytest.fixture(scope="session")
def table_bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source folder of `credit@3`."""
    return make_table_bento(tmp_path_factory.mktemp("credit") / "src")


@pytest.fixture(scope="session")
def slow_bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source folder of a model that takes some 10 ms a row."""
    return make_slow_bento(tmp_path_factory.mktemp("slow") / "src")


@pytest.fixture(scope="session")
def tensor_host(tensor_bento: Path) -> Iterator[Server]:
    """A host of `digits@7`."""
    with running_host(tensor_bento, "--instance", "one") as server:
        yield server


@pytest.fixture(scope="session")
def table_host(table_bento: Path) -> Iterator[Server]:
    """A host of `credit@3`."""
    with running_host(table_bento) as server:
        yield server
