"""What the stages ask of the world; one contract suite in tests/adapters holds all implementations to it, fakes too.

A method succeeds whole, or raises a TurnoutError and leaves all as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pipelines.values import (
    Alias,
    Bento,
    Captured,
    Digested,
    Evidence,
    GateReport,
    HostHealth,
    ModelVersion,
    Modules,
    PackageRecord,
    Parameter,
    Provenance,
    Revision,
    ServiceFiles,
    ServingMeasure,
    Sources,
    Split,
    Trial,
    VersionRef,
    VersionSpec,
)
from pipelines.values.labels import Label, LabelSummary, Taken


@dataclass(frozen=True, slots=True)
class CellProgress:
    """How far a notebook has come.

    Args:
        cell: The number of the code cell now running, from 1; `cells` + 1 when all are done.
        cells: How many code cells there are.
        title: What the cell does: its nearest heading, or else its first line.
    """

    cell: int
    cells: int
    title: str


@dataclass(frozen=True, slots=True)
class NotebookJob:
    """One execution of a notebook.

    Args:
        notebook: The notebook, absolute, inside `root`.
        output: Where the executed notebook goes, also a failed one.
        root: The project's folder: notebooks outside of it are refused.
        parameters: Values for names that the cell tagged `parameters` declares, and for no others.
        environment: Variables for the kernel, over those of this process; an empty one is removed.
        cell_timeout_seconds: The longest a cell may run.
    """

    notebook: Path
    output: Path
    root: Path
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    cell_timeout_seconds: float = 3600.0


class Picture(Protocol):
    """What can be shown to a person; each view can."""

    def text(self, width: int = 100, *, color: bool = False, encoding: str = "utf-8") -> str:
        """For a terminal."""

    def html(self) -> str:
        """For a page."""


class Reporter(Protocol):
    """Somebody who watches the work, perhaps nobody."""

    def step(self, text: str) -> None:
        """A new piece of work has begun, said in a few words."""

    def cell(self, progress: CellProgress) -> None:
        """A notebook has come to another cell."""

    def board(self, picture: Picture) -> None:
        """Several pieces of work at once, as they are now; it takes the place of the picture before it."""


class NotebookRunner(Protocol):
    """Runs notebooks, each in a kernel of its own."""

    def defaults(self, notebook: Path) -> dict[str, Parameter]:
        """What the cell tagged `parameters` declares, by name.

        Raises:
            BadProject: the notebook cannot be read.
        """

    def run(self, job: NotebookJob, progress: Callable[[CellProgress], None]) -> float:
        """Run the notebook to its end and return how many seconds it took.

        The executed notebook is at `job.output` afterwards, whole, whether it succeeded or failed; no kernel is left.

        Raises:
            BadParameter: a name that is no identifier or not declared, or a value of another type than the default's.
            BadProject: the notebook lies outside the project, or cannot be read.
            NotebookRaised: a cell raised; the message names the cell, the exception and the executed notebook.
            NotebookTimeout: a cell took too long.
            KernelDied: the kernel ended by itself.
            Interrupted: a person pressed Ctrl-C; the kernel has been stopped.
        """


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model that a run logged.

    Args:
        uri: `models:/m-...`.
        name: The name it was logged under.
    """

    uri: str
    name: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run of a notebook, as the tracking store has it."""

    run_id: str
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    models: Sequence[LoggedModel]


class Registry(Protocol):
    """Runs, versions and their facts. Safe for several processes at once, from the first use on."""

    def environment(self, tag: str) -> dict[str, str]:
        """Variables for a kernel, so that all runs it starts go to this registry and carry `tag`.

        Creates the store when there is none.

        Raises:
            StorageFailed: it cannot be created or opened.
        """

    def runs(self, tag: str) -> list[RunFacts]:
        """The runs started under `tag`, the oldest first, whatever experiment they are in."""

    def attach(self, run_id: str, file: Path, folder: str) -> None:
        """Store a copy of `file` with the run, below `folder`."""

    def evidence(self, run_id: str) -> Evidence:
        """What a validation run logged below `validation/` (docs/notebooks.md has the contract).

        Raises:
            NotebookContract: a table or the rows cannot be read.
        """

    def register(
        self, model: str, run: RunFacts, logged: LoggedModel, parameters: Mapping[str, Parameter], made_from: Provenance
    ) -> ModelVersion:
        """Give the trained model its version number, the next one, never one that was given before."""

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions, the newest first; empty when there is none."""

    def get(self, spec: VersionSpec | VersionRef) -> ModelVersion:
        """One version.

        Raises:
            NoSuchVersion: there is none; the message names those there are.
        """

    def record_report(self, report: GateReport, validation: Evidence) -> ModelVersion:
        """Store the verdict, its checks and the validation run with the version; return it as it is now."""

    def record_package(self, ref: VersionRef, package: PackageRecord | None) -> ModelVersion:
        """Store what the version was packaged as (None: no longer); return it as it is now."""

    def set_champion(self, ref: VersionRef) -> ModelVersion:
        """Move `champion` here and `previous` to where it was; the champion itself stays as it is."""

    def local_model(self, version: ModelVersion) -> Path:
        """The folder with the version's MLflow model (the one with the file `MLmodel`)."""

    def code_cells(self, version: ModelVersion) -> list[str] | None:
        """The code cells of the notebook that trained it, as they ran, without the injected parameters.

        None when the executed notebook is gone, or cannot be read any more.
        """

    def executed(self, version: ModelVersion, verb: str) -> Path | None:
        """The executed notebook that trained (`train`) or last judged (`validate`) it; None when it is gone."""

    def requirements(self, version: ModelVersion) -> dict[str, str] | None:
        """The packages its model was saved with, `{"numpy": "==2.4.0"}`; None when nothing says so."""

    def delete(self, ref: VersionRef) -> int:
        """Remove a version, its runs and their files; return the bytes freed.

        Raises:
            Refused: an alias points to it (`champion`, `previous`), or it is the latest one.
        """


@dataclass(frozen=True, slots=True)
class PackageJob:
    """What a bento is made of.

    Args:
        version: The version.
        model: The folder with its MLflow model.
        rows: The real validation rows: `.npy`, `.npz`, `.parquet` or `.csv`.
        native: Whether to carry the original model without trying an export.
        forced: The reason given with `--force`, or nothing.
        service_code: The functions before and after the model.
    """

    version: ModelVersion
    model: Path
    rows: Path
    native: bool = False
    forced: str = ""
    service_code: ServiceFiles = ServiceFiles()


class Packager(Protocol):
    """Makes bentos."""

    def package(self, job: PackageJob, progress: Callable[[str], None]) -> PackageRecord:
        """Export, prove, build. The same job gives the same digest; an equal bento that exists already is kept.

        Raises:
            MissingExtra: an exporter or the framework is not installed.
            BadServiceCode: a function before or after the model does not do what it has to, on the real rows.
            PackageFailed: the bento could not be built; nothing is left of it.
            StorageFailed: the disk is full or read-only.
        """

    def measure(self, package: PackageRecord) -> ServingMeasure:
        """Start the bento's host alone, send real rows one at a time, stop it.

        Raises:
            PackageFailed: it does not start or answers wrongly.
        """

    def sources(self, package: PackageRecord) -> Path:
        """The folder a host serves from.

        Raises:
            PackageFailed: the bento is gone or was changed; the message says how to make it again.
        """

    def size(self, package: PackageRecord) -> int:
        """The bytes of the bento on disk; 0 when it is gone."""

    def modules(self, package: PackageRecord | None) -> Modules:
        """What service code may import in a bento such as this one; None stands for one with an ONNX file."""

    def try_out(self, package: PackageRecord, rows: Path, files: ServiceFiles) -> Trial:
        """Have functions answer real rows around the model of a bento, in a process of their own, for a limited time.

        Args:
            package: The bento; it stays as it is.
            rows: The real validation rows.
            files: The functions.

        Raises:
            BadServiceCode: a function does not do what it has to; the message names its line and the cause.
            PackageFailed: the bento is gone.
        """

    def try_before(self, ref: VersionRef, model: Path, rows: Path, files: ServiceFiles) -> Trial:
        """Have the function before a model that is not packaged answer its real rows; `model` is its MLflow folder.

        What stands after the model is only loaded. Without a function before it, the trial has no rows.

        Raises:
            BadServiceCode: as `try_out` says.
        """

    def remove(self, package: PackageRecord) -> int:
        """Delete the bento; return the bytes freed. A bento that is gone already frees 0."""


class Functions(Protocol):
    """The functions before and after a model, as they lie beside its notebooks."""

    def read(self, folder: Path) -> ServiceFiles:
        """What lies in the folder.

        Raises:
            BadServiceCode: a file is no text, or far too long.
            StorageFailed: a file cannot be read.
        """

    def write(self, folder: Path, files: ServiceFiles) -> None:
        """Make the folder hold just these functions and rows; what has its text already is not touched.

        Raises:
            BadServiceCode: a file of somebody's own has the name of one.
            StorageFailed: the disk is full or read-only; each file has its old text or its new one.
        """

    def rows(self, path: Path) -> str:
        """A person's own file of example rows (.json, .csv) as a request body.

        Raises:
            BadServiceCode: there is no such file, or it holds no rows.
        """


class Hosts(Protocol):
    """Runs a bento in the foreground."""

    def serve(self, sources: Path, port: int) -> None:
        """Serve the bento at `sources` on 127.0.0.1:`port` until it is told to stop.

        Raises:
            ServeFailed: it did not start; its own message has been printed.
        """


@dataclass(frozen=True, slots=True)
class Attempt:
    """An execution whose outcome is not recorded yet.

    Args:
        model: The model.
        verb: `train` or `validate`.
        key: Digest of all it depends on.
        tag: Under which its runs are found.
        notebook: Where the executed notebook goes.
    """

    model: str
    verb: str
    key: str
    tag: str
    notebook: Path


class Executions(Protocol):
    """Where executed notebooks are kept, and what became of them."""

    def place(self, model: str, verb: str) -> Path:
        """A new path for an executed notebook, its folder made.

        Raises:
            StorageFailed: the folder cannot be made.
        """

    def durations(self, model: str, verb: str, count: int = 3) -> list[float]:
        """The seconds that the last whole executions took, the latest first, `count` at most."""

    def prune(self, model: str, before: datetime) -> int:
        """Remove those of the model that are older; return the bytes freed."""

    def begin(self, attempt: Attempt) -> None:
        """Note that an execution begins, so that it need not be repeated when this process ends before it is recorded.

        It takes the place of an earlier note with the same model, verb and key.
        """

    def finished(self, model: str, verb: str, key: str) -> tuple[Attempt, float] | None:
        """A noted execution with that key, and its seconds: it came to its end, and who noted it is gone."""

    def settle(self, model: str, verb: str, key: str) -> None:
        """Forget the note: the outcome is recorded, or there is none."""


class Target(Protocol):
    """Where versions run and take traffic. All calls may be repeated: what is so already stays as it is."""

    def start(self, bento: Bento, replicas: int, progress: Callable[[str], None]) -> None:
        """Start the version's hosts; return when all are ready, by instance id, and warmed with real rows.

        While it waits it calls `progress` some times a second, perhaps with the same words again; what that raises
        calls the start off.

        Raises:
            ServeFailed: one ended, never got ready, or answered wrongly in the warm-up; none of them is left, and the
                message ends with the last lines of its log.
            StorageFailed: the disk is full or read-only.
        """

    def route(self, split: Split, warm: frozenset[VersionRef]) -> Split:
        """Make `split` the live one, in one atomic step, and return what the target itself then reports.

        Every request that begins after the return is routed by it. `warm` versions have no share, but can be reached
        with the override header.

        Raises:
            ServeFailed: a version of it does not run, or the gateway refused it; the split of before stays.
        """

    def split(self, model: str) -> Split | None:
        """The split as the target reports it; None when it routes nothing for the model."""

    def stop(self, ref: VersionRef) -> None:
        """Stop a version that has no share any more, with its whole process tree.

        It first answers all it has begun, up to the drain deadline. A version that does not run is stopped already.

        Raises:
            Refused: the version still has a share of the traffic.
        """

    def health(self) -> Mapping[VersionRef, HostHealth]:
        """All running versions, as the target sees them now."""


class Catalogue(Protocol):
    """Packaged versions, read without the registry: a deploy must not wait for MLflow's import."""

    def get(self, ref: VersionRef) -> Bento | None:
        """The bento; None when the version is not packaged."""

    def check(self, bento: Bento) -> None:
        """Compare what is on disk with the digest: before a host is started from it.

        Raises:
            PackageFailed: the bento is gone or was changed; the message says how to make it again.
        """

    def put(self, bento: Bento) -> None:
        """Add or replace one.

        Raises:
            StorageFailed: the disk is full or read-only; what was known stays.
        """

    def remove(self, ref: VersionRef) -> None:
        """Forget one; one that is not there is forgotten already."""

    def numbers(self, model: str) -> list[int]:
        """The numbers of a model's packaged versions, rising."""


class Captures(Protocol):
    """What hosts have kept of requests and answers."""

    def versions(self, model: str) -> list[VersionRef]:
        """Those of which something was kept, rising."""

    def read(self, ref: VersionRef) -> Iterator[Captured]:
        """All that was kept of a version, the oldest first; none of one that kept nothing."""


class Operator(Protocol):
    """Who carries out what changes the running versions: one for each project, whoever asks."""

    def operate(
        self, verb: str, model: str, arguments: Mapping[str, Any], on_step: Callable[[str], None]
    ) -> dict[str, Any]:
        """Carry out one operation; return the model's entry in the status afterwards, as the target reports it.

        Args:
            verb: `deploy`, `promote`, `rollback` or `undo`.
            model: The model.
            arguments: As docs/architecture.md lists them for the verb, JSON values. With `dry_run` nothing is changed,
                and what comes back is `{"plan": [...]}`, the steps in words.
            on_step: Told each step, in a few words, when it begins.

        Raises:
            TurnoutError: it did not succeed; what ran before runs still.
        """

    def status(self) -> dict[str, Any]:
        """What runs, as JSON: `models`, by name; empty where nothing was ever deployed, and nothing is started then."""

    def history(self, model: str) -> list[dict[str, Any]]:
        """What happened to the model, the latest first, as JSON."""

    def logs(self, ref: VersionRef | None, lines: int) -> list[str]:
        """The last lines written by a version's hosts, or by all."""

    def ask(self, name: str, **asked: str | int) -> Any:
        """Put a question to a part of the runtime, which is started where it does not run; the answer is JSON values.

        Raises:
            BadInput: nobody knows of it.
        """

    def glance(self, name: str, **asked: str | int) -> Any:
        """As `ask`, or `status` under that name, but at once or not at all: None when nothing answers within seconds.

        For whoever looks again and again: it starts nothing and waits for nobody.

        Raises:
            BadInput: nobody knows of it.
        """

    def tell(self, name: str, body: Mapping[str, Any]) -> Any:
        """Give an order to a part of the runtime. It may come twice when the runtime dies over it.

        Raises:
            BadInput: nobody takes it.
        """

    def up(self, on_step: Callable[[str], None]) -> dict[str, Any]:
        """Start the runtime and bring back what was live; return the status."""

    def down(self, on_step: Callable[[str], None]) -> None:
        """Stop all versions and the runtime, whose state is kept."""


class Labels(Protocol):
    """Truth that came later, joined with what hosts have kept. All of it may be done again: nothing counts twice."""

    def add(self, model: str, labels: Sequence[Label]) -> Taken:
        """Take labels in, all or none, and join those whose answers are known.

        The first label of a request holds, unless it did not fit the answer: the same again changes nothing, and one
        that contradicts it is counted.

        Raises:
            StorageFailed: the disk is full or read-only, or the store is broken.
        """

    def expect(self, model: str) -> None:
        """Labels are about to come: read what hosts have kept of the model's requests.

        Raises:
            StorageFailed: likewise.
        """

    def read(self, model: str) -> object:
        """Read what hosts have kept since, and join it with the labels that wait; nothing where no label ever came.

        Raises:
            StorageFailed: likewise.
        """

    def summary(self, model: str) -> LabelSummary:
        """What is known of a model's quality.

        Raises:
            StorageFailed: the store is broken.
        """


class Revisions(Protocol):
    """Version control of the project's code."""

    def revision(self, folder: Path) -> Revision:
        """Where the code stands; `none` outside of any system or without its program."""

    def are_since(self, folder: Path, mark: str, revisions: Sequence[Revision]) -> list[bool]:
        """Which of the revisions are at or after a mark: by ancestry in Git, by number in Subversion.

        A revision that the repository does not have (any more) is not.

        Args:
            folder: In the working copy.
            mark: A revision as a person writes it: a commit, a branch or a tag; a number.
            revisions: What to look at.

        Raises:
            BadInput: there is no such revision, or no version control.
        """

    def tag(self, folder: Path, name: str, revision: Revision, message: str) -> None:
        """Set an annotated tag at a revision; one that is there already may stay.

        Raises:
            Refused: the repository or the revision is gone, or the tag stands elsewhere.
        """


class Digests(Protocol):
    """SHA-256 of what a version is made from."""

    def notebook(self, path: Path) -> str:
        """Of the code cells alone: outputs, metadata and prose do not count."""

    def files(self, paths: Sequence[Path]) -> str:
        """Of files and folders by their content and relative names; empty for no paths. Wildcards are expanded.

        Raises:
            BadProject: a path does not exist, or a pattern matches nothing.
        """

    def depends(self, sources: Sources) -> Digested:
        """All that a notebook stage depends on, whole and part by part; parameters and upstream results excepted.

        What `notebook` and `files` say of the same stands in it. The project's modules are those that the notebook's
        cells import, directly or through one another, as far as that can be read off.

        Raises:
            BadProject: as above; or a command among the inputs fails.
        """


class Clock(Protocol):
    """What time it is."""

    def now(self) -> datetime:
        """The present, in UTC."""


@dataclass(frozen=True)
class Ports:
    """The world, as one stage is handed it."""

    runner: NotebookRunner
    registry: Registry
    packager: Packager
    hosts: Hosts
    executions: Executions
    revisions: Revisions
    digests: Digests
    clock: Clock
    catalogue: Catalogue
    functions: Functions


__all__ = [
    "Alias",
    "Attempt",
    "Captures",
    "Catalogue",
    "CellProgress",
    "Clock",
    "Digests",
    "Executions",
    "Functions",
    "Hosts",
    "Labels",
    "LoggedModel",
    "NotebookJob",
    "NotebookRunner",
    "Operator",
    "PackageJob",
    "Packager",
    "Picture",
    "Ports",
    "Registry",
    "Reporter",
    "Revisions",
    "RunFacts",
    "Target",
]
