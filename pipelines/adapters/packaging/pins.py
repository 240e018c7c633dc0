"""What a bento installs: every package at the version that stands here."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from pipelines.adapters.packaging.exporters import EXPORTERS
from pipelines.errors import PackageFailed
from pipelines.values import Modules

SERVING = (
    "bentoml",
    "httptools",
    "numpy",
    "onnxruntime",
    "orjson",
    "prometheus-client",
    "uvicorn",
    "uvloop",
)
"""What `pipelines.serving`, `pipelines.values` and service.py import, themselves or by name through uvicorn."""

_NOT_ON_WINDOWS = frozenset({"httptools", "uvloop"})
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}
_NEEDS_ONNX_ONLY = "onnxruntime"
_SKOPS = "serialization_format: skops"
"""In MLmodel: the model is read with skops, whatever the notebook listed."""


def onnx_pins() -> list[str]:
    """The lines of requirements.txt for a bento with an ONNX file."""
    return sorted(_pin(name) for name in SERVING)


def native_pins(flavour: str, model: Path) -> list[str]:
    """The lines of requirements.txt for a bento with the original model.

    They are what serving needs, MLflow without its server, the framework, and the model's own requirements; of those a
    bare name is pinned at the installed version.

    Args:
        flavour: The MLflow flavour.
        model: The MLflow model folder with MLmodel and requirements.txt.

    Raises:
        PackageFailed: a requirement cannot be read.
    """
    lines = {_name(line): line for line in (_pin(name) for name in SERVING if name != _NEEDS_ONNX_ONLY)}
    needed = ["mlflow-skinny", "pandas"]
    if flavour in EXPORTERS:
        framework = EXPORTERS[flavour].framework
        needed.append(_DISTRIBUTIONS.get(framework, framework))
    if _SKOPS in (model / "MLmodel").read_text(encoding="utf-8"):
        needed.append("skops")
    for name in needed:
        lines[name] = _pin(name)
    for line in _own(model):
        lines[_name(line)] = line
    return sorted(lines.values())


def modules(lines: Iterable[str]) -> Modules:
    """What code in a bento may import, by the lines of its requirements.txt."""
    from packaging.utils import canonicalize_name

    pinned = {_name(line) for line in lines}
    homes = packages_distributions().items()
    found = (name for name, owners in homes if any(canonicalize_name(owner) in pinned for owner in owners))
    installed = frozenset(name for name in found if name.isidentifier())
    return Modules(frozenset(sys.stdlib_module_names), installed)


def _pin(name: str) -> str:
    marker = ' ; sys_platform != "win32"' if name in _NOT_ON_WINDOWS else ""
    try:
        return f"{name}=={version(name)}{marker}"
    except PackageNotFoundError:
        # mlflow-skinny, where only the whole of MLflow is installed, has the same versions.
        return f"{name}=={version('mlflow')}" if name == "mlflow-skinny" else name


def _name(line: str) -> str:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    return canonicalize_name(Requirement(line).name)


def _own(model: Path) -> list[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    path = model / "requirements.txt"
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise PackageFailed(
                f"{path} has the line {text!r}, which names no package: {error}",
                instead="a native bento installs packages by name",
                then="Log the model with pip_requirements=[...] of that kind.",
            ) from error
        if _name(text) == "mlflow":
            continue
        bare = not requirement.specifier and not requirement.url
        found.append(_pin(requirement.name) if bare and not requirement.extras else text)
    return found
