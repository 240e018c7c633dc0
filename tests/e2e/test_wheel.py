"""Turnout as others get it: a wheel, in a project that is not its own checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.line import CREDIT, ROOT, make_project


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from this checkout."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = out.glob("turnout-*.whl")
    return built


def test_the_wheel_carries_what_bentos_are_built_from(wheel: Path) -> None:
    """service.py and bentofile.yaml are in the wheel, byte for byte, and neither tests nor notebooks are."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for name in ("service.py", "bentofile.yaml"):
            assert archive.read(f"pipelines/bento/{name}") == (ROOT / name).read_bytes()
    assert not {name for name in names if name.startswith(("tests/", "notebooks/", "benchmarks/"))}
    assert "pipelines/serving/host.py" in names
    assert "ipext/__init__.py" in names


@pytest.mark.long
def test_an_installed_wheel_ships_a_model_in_a_project_elsewhere(wheel: Path, tmp_path: Path) -> None:
    """Installed beside an empty project, Turnout trains, validates and packages there, from its own package data."""
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    project = make_project(tmp_path / "elsewhere", CREDIT, credit=ROOT / "tests" / "notebooks" / "credit")
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=project.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    used = run("-c", "import pipelines; print(pipelines.__file__)").strip()
    assert Path(used).is_relative_to(site)
    run("-m", "pipelines.cli", "ship", "credit", "--json")
    run("-m", "pipelines.cli", "init", "fresh", "--json")
    assert (project.root / "fresh" / "notebooks" / "fresh" / "train.ipynb").is_file()
    bento = project.state / "bentoml" / "bentos" / "credit" / "1" / "src"
    assert (bento / "service.py").read_bytes() == (ROOT / "service.py").read_bytes()
    assert (bento / "pipelines" / "serving" / "host.py").is_file()


def test_a_folder_called_pipelines_is_noticed_and_named(tmp_path: Path) -> None:
    """A person's own `pipelines` would hide Turnout's in a notebook's kernel: the command says so before."""
    project = make_project(tmp_path / "mine", CREDIT, credit=ROOT / "tests" / "notebooks" / "credit")
    (project.root / "pipelines").mkdir()
    (project.root / "pipelines" / "__init__.py").touch()
    done = project.turnout("train", "credit", code=2)
    assert "pipelines" in done.err
    assert "rename" in done.err.lower()
    assert not project.state.exists()
