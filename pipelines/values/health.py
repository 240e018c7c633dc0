"""What `turnout doctor` looks at, and what it says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Health(StrEnum):
    """How one thing stands: a problem keeps something from working, a warning may."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Args:
        name: What was looked at.
        health: How it stands.
        says: What was seen.
        cure: What mends it; empty where nothing needs to be.
    """

    name: str
    health: Health
    says: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What the machine has.

    Args:
        python: The interpreter's version.
        executable: Its path.
        turnout: The version of this Turnout.
        free_mb: Free space where the state lies, in megabytes (10^6 bytes).
        available_mb: Memory that can still be had, in megabytes.
        year: Of the clock.
        gateway: Why the gateway's program cannot run; empty when it can.
        programs: The paths of programs that not everybody needs, by name; None where there is none.
    """

    python: tuple[int, int, int]
    executable: str
    turnout: str
    free_mb: float
    available_mb: float
    year: int
    gateway: str = ""
    programs: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """What of a project runs, and how its state is.

    Args:
        daemon: The version of the daemon that runs; None when none does, empty when it does not answer.
        turnout: The version of this Turnout.
        protocol: Below 0 when the daemon's is older than this Turnout's, above when it is newer.
        guardian: Whether the guardian lives.
        gateway: Whether the gateway reports.
        hosts: How many hosts were noted and live.
        stopped: Whether everything was stopped on purpose, or never started.
        live: Models with traffic, as the daemon reports them.
        port: Whether the gateway's port is free, the gateway's or somebody else's.
        port_number: The port.
        stale: Sockets on which nobody listens.
        unwritable: Why the state folder cannot be written; empty when it can.
        journal: Why the journal cannot be read; empty when it can, None when there is none yet.
        registry: The same of MLflow's store.
        ahead_seconds: By how much the newest file of the state is newer than the clock.
    """

    daemon: str | None = None
    turnout: str = ""
    protocol: int = 0
    guardian: bool = False
    gateway: bool = False
    hosts: int = 0
    stopped: bool = True
    live: tuple[str, ...] = ()
    port: Literal["free", "ours", "taken"] = "free"
    port_number: int = 3000
    stale: tuple[str, ...] = ()
    unwritable: str = ""
    journal: str | None = None
    registry: str | None = None
    ahead_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class NotebookFacts:
    """What a notebook's code says of it, without running it.

    Args:
        tagged: Whether a code cell is tagged `parameters`.
        imports: The top-level packages it imports.
        flavours: The MLflow flavours whose `log_model` it calls.
        saves_table: Whether it logs something below `validation`.
        broken: The number of the first code cell that is no Python, from 1; None when all are.
    """

    tagged: bool
    imports: frozenset[str]
    flavours: tuple[str, ...]
    saves_table: bool
    broken: int | None = None
