"""Which nursery a kernel may come from: one with the same packages, in the same environment, under the same lock."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import resource
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.adapters.cell_code import code_cells, tree, trees
from pipelines.adapters.imported_modules import imports, project_modules

_SESSION = frozenset(
    (
        *("PWD", "OLDPWD", "SHLVL", "_", "TERM", "COLORTERM", "COLUMNS", "LINES", "PS1", "LS_COLORS", "TMUX", "STY"),
        *("WINDOWID", "HISTFILE", "MAIL", "LOGNAME", "MLFLOW_RUN_CONTEXT", "PYTEST_CURRENT_TEST", "CLICOLOR", "PAGER"),
        *("GIT_PAGER", "FORCE_COLOR", "CLICOLOR_FORCE", "NO_COLOR", "INVOCATION_ID", "JOURNAL_STREAM"),
        "MPLBACKEND",
    )
)
"""Variables of a session or of one run: no package acts on them at import. A kernel has its own in any case."""
_SESSION_PREFIXES = ("JPY_", "SSH_", "VSCODE_", "TERM_", "XDG_SESSION", "DBUS_", "GNOME_", "KONSOLE_", "TURNOUT_")

READ_AT_IMPORT = (
    *("TF_", "OMP_", "MKL_", "OPENBLAS_", "BLIS_", "VECLIB_", "NUMEXPR_", "KMP_", "GOMP_", "CUDA_", "XLA_", "JAX_"),
    *("TORCH_", "PYTORCH_", "KERAS_", "NVIDIA_", "MALLOC_", "LD_", "PYTHON", "HF_", "TRANSFORMERS_", "TOKENIZERS_"),
    *("SKLEARN_", "SCIPY_", "NUMBA_", "NPY_", "RAY_", "GRPC_", "POLARS_", "ARROW_", "PANDAS_", "MPL", "LC_", "LANG"),
    *("TZ", "HOME", "XDG_", "TMPDIR", "SSL_", "REQUESTS_", "CURL_", "PROTOCOL_BUFFERS_", "ABSL_", "AUTOGRAPH_"),
)
"""How the names of variables begin that packages read when they are imported, or even earlier."""

_SETTING_MAGIC = re.compile(r"^\s*%(?:env|set_env)\b", re.MULTILINE)


@dataclass(slots=True)
class Wanted:
    """What a notebook wants of its kernel, as far as it can be read off.

    Args:
        modules: The modules that it and the project's own modules import.
        variables: Variables that it sets, by literals, before it imports a package.
        defaults: The same by `os.environ.setdefault`.
        is_open: Whether it sets a variable that is read at import in another way: it gets an ordinary kernel.
    """

    modules: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    is_open: bool = False

    def over(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment with what the notebook sets in it."""
        return {**self.defaults, **environment, **self.variables}


def wanted(notebooks: Iterable[Path], own: Path, root: Path) -> Wanted:
    """What the notebooks of one model import, so that its kernels share a nursery.

    Args:
        notebooks: All of them; what they import is put together.
        own: The one that shall run: its variables count.
        root: The project's folder.
    """
    modules: dict[str, None] = {}
    for notebook in {own: None, **dict.fromkeys(notebooks)}:
        for parsed in (*trees(code_cells(notebook)), *_own_modules(notebook, root)):
            modules |= dict.fromkeys(_modules(parsed))
    cells = code_cells(own)
    found = Wanted(tuple(sorted(modules)), is_open=any(_SETTING_MAGIC.search(cell) for cell in cells))
    has_imported = False
    for parsed in trees(cells):
        for statement in parsed.body:
            _read_off(statement, found, is_late=has_imported)
            has_imported = has_imported or bool(_modules(statement))
    # When such a module is imported, and which of its lines run, is not to be seen.
    found.is_open = found.is_open or any(_may_matter(name) for each in _own_modules(own, root) for name in _set(each))
    return found


def steady(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that belong to a nursery's identity: all but those of a session."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _SESSION and not name.startswith(_SESSION_PREFIXES)
    }


def circumstances() -> str:
    """What a process has besides its environment: the packages' folders, limits, priority, processors and group."""
    places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    times = [_changed(place) for place in sorted(places)]
    limits = [resource.getrlimit(getattr(resource, name)) for name in sorted(dir(resource)) if name[:7] == "RLIMIT_"]
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    try:
        group = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        group = ""
    return f"{sys.executable} {sys.version} {times} {limits} {priority} {processors} {group}"


def identity(modules: Sequence[str], environment: Mapping[str, str], lock: str) -> str:
    """24 hexadecimal digits: the first 8 stand for packages and lock, the rest for modules and variables."""
    packages = hashlib.sha256(f"{circumstances()} {lock}".encode()).hexdigest()[:8]
    rest = json.dumps([list(modules), sorted(steady(environment).items())])
    return packages + hashlib.sha256(rest.encode()).hexdigest()[:16]


def _changed(place: str) -> int:
    try:
        return os.stat(place).st_mtime_ns  # noqa: PTH116 - a text, not a path
    except OSError:
        return 0


def _own_modules(notebook: Path, root: Path) -> Iterator[ast.Module]:
    for file in project_modules(notebook, root):
        yield tree(file.read_bytes().decode("utf-8", "replace"))


def _modules(parsed: ast.AST) -> list[str]:
    """The modules imported, and `mlflow.keras` where `mlflow.keras.log_model` is used: it is loaded late."""
    found: list[str] = []
    names: dict[str, str] = {}
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
    for each in imports(parsed):
        if each.level == 0 and each.module:
            found.append(each.module)
            found += [f"{each.module}.{name}" for name in each.names if name.islower()]
    for node in ast.walk(parsed):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            found.append(f"{names[node.value.id]}.{node.attr}")
    return [name for name in found if name.partition(".")[0] not in sys.stdlib_module_names and "*" not in name]


def _read_off(statement: ast.stmt, found: Wanted, *, is_late: bool) -> None:
    """Add what a statement sets, when it is plain and no package has been imported yet."""
    if not is_late:
        match statement:
            case ast.Assign(targets=[ast.Subscript(value=place, slice=ast.Constant(str(name)))], value=value):
                if _is_environ(place) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found.variables[name] = value.value
                    return
            case ast.Expr(
                ast.Call(
                    func=ast.Attribute(value=place, attr="setdefault"),
                    args=[ast.Constant(str(name)), ast.Constant(str(value))],
                )
            ) if _is_environ(place):
                found.defaults.setdefault(name, value)
                return
    found.is_open = found.is_open or any(_may_matter(name) for name in _set(statement))


def _may_matter(name: str | None) -> bool:
    return name is None or name.startswith(READ_AT_IMPORT)


def _set(parsed: ast.AST) -> Iterator[str | None]:
    """The names of variables that are set or removed; None where that cannot be read off."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load) and _is_environ(node.value):
            yield _literal(node.slice)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if _is_environ(node.func.value) and node.func.attr in ("setdefault", "pop"):
                yield _literal(node.args[0]) if node.args else None
            elif (_is_environ(node.func.value) and node.func.attr in ("update", "clear")) or node.func.attr in (
                "putenv",
                "unsetenv",
                "load_dotenv",
            ):
                yield None
        elif isinstance(node, ast.AugAssign) and _is_environ(node.target):
            yield None


def _is_environ(node: ast.expr) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "environ") or (
        isinstance(node, ast.Name) and node.id == "environ"
    )


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
