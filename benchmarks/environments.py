"""Environments of their own for the servers whose packages do not go together with ours: `.venv-bench-NAME`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

from benchmarks.errors import NotMeasured

ROOT = Path(__file__).parents[1]
PYTHON = "3.11"
"""The version that the pinned files were resolved for."""


def environment(name: str) -> Path:
    """The interpreter of the environment made from `requirements-NAME.txt`; it is built when it is not there yet.

    Raises:
        NotMeasured: there is no fitting Python, or the packages cannot be installed.
    """
    wanted = Path(__file__).with_name(f"requirements-{name}.txt").read_text(encoding="utf-8")
    folder = ROOT / f".venv-bench-{name}"
    python, mark = folder / "bin" / "python", folder / ".installed"
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
        return python
    base = _base_python()
    print(f"making {folder.name} (a minute or two, once) ...", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run([base, "-m", "venv", str(folder)], 120, f"{folder.name} cannot be made")
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    requirements = str(Path(__file__).with_name(f"requirements-{name}.txt"))
    _run([str(python), *install, "-r", requirements], 600, "its packages cannot be installed")
    mark.write_text(wanted, encoding="utf-8")
    return python


def versions(python: Path, names: tuple[str, ...]) -> dict[str, str]:
    """The versions of some packages of the environment of that interpreter."""
    places = [str(place) for place in (python.parents[1] / "lib").glob("python*/site-packages")]
    found: dict[str, Distribution] = {each.metadata["Name"].lower(): each for each in distributions(path=places)}
    return {name: found[name].version for name in names if name in found}


def _base_python() -> str:
    if f"{sys.version_info.major}.{sys.version_info.minor}" == PYTHON:
        return sys.executable
    found = shutil.which(f"python{PYTHON}")
    if found is None:
        raise NotMeasured(f"its environment needs Python {PYTHON}, which is not installed")
    return found


def _run(command: list[str], seconds: float, what: str) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True)
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"{what}: it took more than {seconds:.0f} s") from None
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.startswith("ERROR")] or error.stderr.splitlines()
        raise NotMeasured(f"{what}: {lines[-1] if lines else error}") from None
