"""The rooms keep their doors shut."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import values
from pipelines.local.protocol import ADDRESS, PROTOCOL

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "mlflow",
    "papermill",
    "bentoml",
    "tensorflow",
    "keras",
    "torch",
    "pandas",
    "sklearn",
    "onnxruntime",
    "matplotlib",
)


SLOW = (
    *HEAVY,
    "asyncio",
    "email",
    "http",
    "logging",
    "numpy",
    "orjson",
    "pipelines.local.engine",
    "pipelines.local.guarding",
    "pipelines.local.journal",
    "pipelines.ports",
    "pipelines.project",
    "pipelines.stages.deploy",
    "pipelines.values.deployment",
    "pipelines.values.gates",
    "pipelines.values.project",
    "pipelines.views",
    "psutil",
    "pydantic",
    "rich",
    "secrets",
    "sqlite3",
    "ssl",
    "subprocess",
)
"""What a rollback has no time for before its request leaves."""


def loaded_by(statement: str) -> list[str]:
    """The heavy modules in a fresh interpreter after the statement."""
    program = f"{statement}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    "statement",
    [
        "import pipelines, pipelines.errors, pipelines.values, pipelines.ports",
        "import pipelines.cli",
        "import pipelines.app, pipelines.wiring, pipelines.terminal",
        "import ipext",
        "import pipelines.adapters.mlflow_registry, pipelines.adapters.papermill_runner",
        "import pipelines.adapters.packaging.packager",
    ],
)
def test_imports_are_light(statement: str) -> None:
    """Importing the package, its command line and its adapters loads no framework: that waits for the first use."""
    assert loaded_by(statement) == []


def test_help_is_light() -> None:
    """`turnout --help` answers without any framework."""
    statement = "from pipelines.cli import run\nassert run(['--help']) == 0\nassert run(['train', '--help']) == 0"
    assert loaded_by(statement) == []


def test_a_rollback_asks_before_it_imports(tmp_path: Path) -> None:
    """When the request of `turnout rollback` reaches the daemon, its process has loaded nothing that could wait."""
    (tmp_path / "pyproject.toml").write_text("[tool.turnout.models.digits]")
    (tmp_path / ".turnout").mkdir()
    address = {"protocol": PROTOCOL, "version": "0", "pid": 1, "socket": "/nobody/listens"}
    (tmp_path / ".turnout" / ADDRESS).write_text(json.dumps(address))
    program = f"""
import os, sys
def watch(event, _):
    if event == "socket.connect":
        print(*[name for name in {SLOW!r} if name in sys.modules], flush=True)
        os._exit(7)
sys.addaudithook(watch)
os.chdir({str(tmp_path)!r})
from pipelines.cli import main
main(["rollback", "digits", "--reason", "it lies"])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 7, f"it asked nobody: {done.stderr}"
    assert done.stdout.split() == []


def test_each_value_is_found() -> None:
    """The modules of `pipelines.values`, loaded late, have every name that it exports."""
    for name in values.__all__:
        assert getattr(values, name) is not None
    with pytest.raises(AttributeError, match="Nothing"):
        values.Nothing  # type: ignore[attr-defined]  # noqa: B018


def test_the_check_itself_can_fail() -> None:
    """The probe sees a heavy module when there is one."""
    assert loaded_by("import onnxruntime") == ["onnxruntime"]


def test_loading_the_extension_is_light() -> None:
    """`%load_ext ipext` loads no framework, and leaves no magic behind when it is unloaded."""
    statement = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell()\n"
        "shell.run_line_magic('load_ext', 'ipext')\n"
        "assert 'turnout' in shell.magics_manager.magics['line']\n"
        "shell.run_line_magic('unload_ext', 'ipext')\n"
        "assert 'turnout' not in shell.magics_manager.magics['line']"
    )
    assert loaded_by(statement) == []
