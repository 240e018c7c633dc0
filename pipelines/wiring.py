"""Which adapter stands behind each port: the only module that names them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import StorageFailed
from pipelines.stages.resolve import Control

if TYPE_CHECKING:
    from pipelines.adapters.kept import KeptFiles
    from pipelines.adapters.planting import Ground
    from pipelines.adapters.report_folder import ReportFolder
    from pipelines.adapters.templates import DrainTemplates
    from pipelines.adapters.warm.client import WarmKernels
    from pipelines.crews import Changes, Crew, Notes
    from pipelines.local.captures.folder import CaptureFolder
    from pipelines.local.captures.labels import LabelStore
    from pipelines.local.daemon import Parts
    from pipelines.local.engine import Engine
    from pipelines.local.logs import LogFiles
    from pipelines.local.prometheus.servers import Servers
    from pipelines.local.rooms import Room
    from pipelines.place import Place
    from pipelines.ports import Catalogue, Ports, Registry
    from pipelines.project import Watched
    from pipelines.stages.doctor import Checkup
    from pipelines.stages.init import Seeds
    from pipelines.stages.notebook_tests import Bench
    from pipelines.values import Deployment, Project, Rollout
    from pipelines.values.labels import Label
    from pipelines.values.testing import ModelTested


def local_ports(project: Project) -> Ports:
    """The real world on this machine, its state below `project.state`.

    Nothing heavy is imported until a port is used.
    """
    from pipelines.adapters.clock import SystemClock
    from pipelines.adapters.digests import FileDigests
    from pipelines.adapters.executions import ExecutionFolder
    from pipelines.adapters.hosts import ForegroundHosts
    from pipelines.adapters.mlflow_registry import MlflowRegistry
    from pipelines.adapters.packaging.packager import BentoPackager
    from pipelines.adapters.papermill_runner import PapermillRunner
    from pipelines.adapters.revisions import CodeRevisions
    from pipelines.adapters.service_code import FileFunctions
    from pipelines.ports import Ports

    clock = SystemClock()
    return Ports(
        runner=PapermillRunner(_warm_kernels(project)),
        registry=MlflowRegistry(project.state),
        packager=BentoPackager(project.state, project.root),
        hosts=ForegroundHosts(),
        executions=ExecutionFolder(project.state / "runs", clock),
        revisions=CodeRevisions(),
        digests=FileDigests(project.state / "cache" / "digests.db"),
        clock=clock,
        catalogue=local_catalogue(project.state),
        functions=FileFunctions(),
    )


def _warm_kernels(project: Project) -> WarmKernels | None:
    """Where notebooks get their kernels from, unless they are to be ordinary ones."""
    wanted = project.warm_kernels if project.warm_kernels is not None else os.environ.get("TURNOUT_WARM_KERNELS") != "0"
    if not wanted or sys.platform != "linux":
        return None
    from pipelines.adapters.warm.client import WarmKernels
    from pipelines.local.runtime import Runtime

    runtime = Runtime.of(project.root)
    return WarmKernels(
        folder=runtime.folder,
        root=project.root,
        log=project.state / "warm-kernels.log",
        lock=project.lock_file,
        families=tuple((model.train.resolve(), model.validate.resolve()) for model in project.models.values()),
        make=runtime.make,
    )


def local_kept(place: Place) -> KeptFiles:
    """What the project keeps so that work need not be done again."""
    from pipelines.adapters.kept import KeptFiles
    from pipelines.adapters.warm.client import WarmKernels
    from pipelines.local.runtime import Runtime

    warm = WarmKernels(Runtime.of(place.root).folder, place.root, place.state / "warm-kernels.log")
    return KeptFiles(place.state, warm)


def local_servers(place: Place) -> Servers:
    """The project's own Prometheus and Alertmanager."""
    from pipelines.local.prometheus.servers import Servers
    from pipelines.local.runtime import Runtime

    return Servers(place.state, Runtime.of(place.root).digest)


def local_checkup() -> Checkup:
    """Who looks at this machine for the doctor."""
    from pipelines.adapters.notebook_files import missing_modules, read_notebook
    from pipelines.local.checkup import machine_facts, runtime_facts
    from pipelines.policy.frameworks import look_at
    from pipelines.stages.doctor import Checkup

    return Checkup(machine_facts, runtime_facts, lambda path: look_at(read_notebook(path)), missing_modules)


def local_ground(here: Path, typed: str) -> tuple[Ground, Seeds]:
    """A folder that a project is to begin in, and what its files are made of.

    Args:
        here: The current folder.
        typed: The folder, and so are notebooks, from there.

    Raises:
        BadInput: it is no usable path.
    """
    from pipelines.adapters.planting import Ground, brings, installed, own_notebook, template
    from pipelines.errors import BadInput
    from pipelines.project import read_ci
    from pipelines.stages.init import Seeds

    try:
        whole = (here / typed).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"{typed!r} is no usable path: {error}") from error
    return Ground(whole), Seeds(template, installed, read_ci, lambda path: own_notebook(here / path), brings)


def local_report_folder(markdown: Path | None, junit: Path | None) -> ReportFolder:
    """Where the reports of a shipment go."""
    from pipelines.adapters.report_folder import ReportFolder

    return ReportFolder(markdown, junit)


def local_control(root: Path, state: Path, registry: Callable[[], Registry]) -> Control:
    """What changes the versions that run on this machine: the project's daemon, started when it is needed."""
    from pipelines.local.client import DaemonClient

    return Control(DaemonClient(root, state), local_catalogue(state), registry)


def local_recorded(state: Path) -> list[Deployment]:
    """What is recorded of each model; no daemon is asked or started."""
    from pipelines.local.journal import recorded

    return recorded(state / "state.db")


def local_durations(state: Path, verb: str, model: str) -> list[float]:
    """The seconds that a model's last operations of a kind took, the latest first; no daemon is asked."""
    from pipelines.local.journal import durations

    return durations(state / "state.db", verb, model)


def local_numbers(state: Path, model: str) -> list[int]:
    """The numbers of a model's versions, the newest first; fast enough for the Tab key."""
    from pipelines.adapters.version_numbers import version_numbers

    return version_numbers(state / "mlflow.db", model)


def local_daemon(place: Place) -> int:
    """Be the project's daemon until told to end; return the exit code."""
    from pipelines.local.daemon import run

    return run(place.root, place.state, lambda: _daemon_parts(place))


def _daemon_parts(place: Place) -> Parts:
    import psutil

    from pipelines.adapters.clock import SystemClock
    from pipelines.local.alerts.room import AlertRoom, AlertSources
    from pipelines.local.captures.folder import CaptureFolder
    from pipelines.local.captures.keeping import Keeping
    from pipelines.local.captures.labels import LabelStore
    from pipelines.local.captures.quality import LiveQuality
    from pipelines.local.daemon import Parts
    from pipelines.local.drift.book import DriftBook
    from pipelines.local.drift.references import References
    from pipelines.local.drift.room import DriftSources, DriftWatch
    from pipelines.local.figures import Figures
    from pipelines.local.judge.book import Book
    from pipelines.local.judge.room import Judge
    from pipelines.local.judge.sources import LocalSources
    from pipelines.local.monitoring.room import Samples, Sources
    from pipelines.local.past import Past
    from pipelines.local.rooms import Room, Rooms
    from pipelines.local.runtime import Runtime
    from pipelines.local.status import StatusReport
    from pipelines.local.target import LocalTarget

    # All of the project file takes half a second to check: a dead daemon must be replaced sooner than that.
    project = cache(lambda: _watched(place.root))
    port = place.port if type(place.port) is int and 0 < place.port < 65536 else project().now().port

    def courier(kind: str, body: Mapping[str, Any]) -> Sequence[str] | None:
        # Versions made without MLflow have no alias there.
        if kind != "champion" or not (place.state / "mlflow.db").exists():
            return None
        return [sys.executable, "-P", "-m", "pipelines.cli", "champion", str(body["ref"])]

    target = LocalTarget.of(place.root, place.state, port)

    def url(model: str) -> str:
        return f"http://127.0.0.1:{port}/{model}"

    def rollout(model: str) -> Rollout:
        return project().now().model(model).rollout

    def furnish(engine: Engine) -> Sequence[Room]:
        def events(model: str, count: int) -> list[dict[str, Any]]:
            return [event.as_dict() for event in engine.journal.history(model, count)]

        captures = CaptureFolder(place.state / "captures")
        catalogue = local_catalogue(place.state)
        seen = DriftSources(lambda: project().now(), captures, References(catalogue), engine.journal, engine.clock)
        # A door of its own to the labels: the judge waits for nobody who writes some.
        judged = LabelStore(place.state / "labels.db", captures)
        rooms: list[Room] = [
            Figures(target.counted, events).room(),
            Keeping(captures, lambda: project().now()).room,
            Past(engine.journal).room,
            LiveQuality(LabelStore(place.state / "labels.db", captures), lambda: project().now()).room,
            DriftWatch(seen, DriftBook(place.state / "drift.db")).room,
            Room(close=judged.close),
            Judge(engine, LocalSources(target, judged), Book(place.state / "evidence.db"), rollout).room,
        ]
        report = StatusReport(engine, url, Rooms(rooms).status)
        sources = Sources(
            report.all,
            engine.journal,
            target.sockets,
            Runtime.of(place.root).gateway_admin,
            place.state,
            lambda: project().now().monitoring.beside(port).port,
        )
        told = AlertSources(
            lambda: project().now().alerts, engine.journal, report.all, place.state, engine.clock, os.environ
        )
        return [*rooms, Samples(sources).room, AlertRoom(told).room]

    return Parts(
        target=target,
        catalogue=local_catalogue(place.state),
        clock=SystemClock(),
        rollout=rollout,
        url=url,
        courier=courier,
        available_mb=lambda: psutil.virtual_memory().available / 1e6,
        logs=place.state / "logs",
        prepare=project,
        furnish=furnish,
    )


def _watched(root: Path) -> Watched:
    from pipelines.project import Watched, read_project

    return Watched(read_project(root))


def local_catalogue(state: Path) -> Catalogue:
    """The packaged versions below a state folder."""
    from pipelines.adapters.catalogue import FileCatalogue

    return FileCatalogue(state, _digest)


def _digest(sources: Path) -> str:
    # All that packages comes with this import, and only a start needs it.
    from pipelines.adapters.packaging.digest import bento_digest

    return bento_digest(sources)


def local_notes(state: Path) -> Notes:
    """Where long work writes down how far it is."""
    from pipelines.adapters.notes import FileNotes

    return FileNotes(state)


def make_crew(engine: str, root: Path, *, is_lasting: bool = True) -> Crew:
    """Who carries out several commands at once: `local` for processes of this machine, `ray` for a Ray cluster."""
    if engine == "ray":
        from pipelines.adapters.crew.cluster import RayCrew

        return RayCrew(root)
    from pipelines.adapters.crew import LocalCrew

    return LocalCrew(root, is_lasting=is_lasting)


def local_champions(state: Path, models: Sequence[str]) -> dict[str, str]:
    """The champions of these models, by name, as the registry has them; in a moment."""
    from pipelines.adapters.version_numbers import champion_number

    found = {model: champion_number(state / "mlflow.db", model) for model in models}
    return {model: f"{model}@{number}" for model, number in found.items() if number is not None}


@contextmanager
def local_bench(project: Project, model: str) -> Iterator[Bench]:
    """What tests of a model work with; what they have logged is gone afterwards."""
    from pipelines.adapters.mlflow_registry import MlflowRegistry
    from pipelines.adapters.notebook_tests import PytestTester
    from pipelines.stages.notebook_tests import Bench

    warm, spec = _warm_kernels(project), None
    if warm is not None:
        warm.make()
        spec = {"runtime": str(warm.folder), "project": str(project.root)}
    home = project.state / "tests" / model
    shutil.rmtree(home, ignore_errors=True)
    try:
        home.mkdir(parents=True)
        yield Bench(PytestTester(spec), MlflowRegistry(home / "state"), home)
    except OSError as error:
        raise StorageFailed.from_os(error, "making room for the tests") from error
    finally:
        shutil.rmtree(home / "state", ignore_errors=True)


def write_test_page(project: Project, tested: ModelTested, folder: Path, head: str) -> ModelTested:
    """Put the executed notebooks of a test on one page, beside them."""
    from dataclasses import replace

    from pipelines.adapters.notebook_page import Shown, write_page

    model, page = project.model(tested.model), folder / "report.html"
    shown = [Shown(path.name, folder / path.name, path.parent) for path in (model.train, model.validate)]
    write_page(page, f"Tests of {tested.model}", head, shown)
    return replace(tested, page=page)


def file_changes() -> Changes:
    """Who tells of changes of files."""
    from pipelines.adapters.file_changes import FileChanges

    return FileChanges()


def sweep_list(path: Path) -> list[dict[str, str]]:
    """The runs that a person's own file lists."""
    from pipelines.adapters.sweep_lists import read_runs

    return read_runs(path)


def local_captures(state: Path) -> CaptureFolder:
    """What the project's hosts have kept of requests and answers."""
    from pipelines.local.captures.folder import CaptureFolder

    return CaptureFolder(state / "captures")


def local_labels(state: Path) -> LabelStore:
    """The truth that came later; to be closed."""
    from pipelines.local.captures.labels import LabelStore

    return LabelStore(state / "labels.db", local_captures(state))


def label_rows(path: Path) -> Iterator[Label]:
    """The labels that a person's own file lists."""
    from pipelines.adapters.label_files import read_labels

    return read_labels(path)


def local_logs(state: Path) -> LogFiles:
    """What the project's hosts, gateway and daemon have written."""
    from pipelines.local.logs import LogFiles

    return LogFiles(state / "logs")


def log_templates() -> DrainTemplates:
    """What finds out which messages say the same."""
    from pipelines.adapters.templates import DrainTemplates

    return DrainTemplates()
