"""BentoPackager: the Packager port on BentoML's store in the project's state folder."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipelines.adapters.packaging import build, coding, measure, pins, reference
from pipelines.adapters.packaging.digest import bento_digest
from pipelines.adapters.packaging.exporters import EXPORTERS
from pipelines.adapters.packaging.job import DISK_EXIT_CODE, JOB_NAME, RESULT_NAME, WorkerJob, raise_error
from pipelines.adapters.packaging.mlmodel import LoggedFolder
from pipelines.adapters.packaging.process import blame, run_logged, tail
from pipelines.adapters.packaging.workplace import working_folder
from pipelines.errors import PackageFailed, StorageFailed
from pipelines.ports import PackageJob
from pipelines.values import (
    MODEL_FOLDER,
    Manifest,
    Modules,
    PackageRecord,
    ServiceFiles,
    ServingMeasure,
    Trial,
    VersionRef,
)
from pipelines.values.drift import REFERENCE_NAME

ASKED_FOR = "asked for with --native"

_WORKER = "pipelines.adapters.packaging.worker"
_REFUSALS = {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT, errno.EFBIG}


class BentoPackager:
    """Makes bentos and keeps them where BentoML looks: `<state>/bentoml/bentos/<model>/<number>`.

    Each version has a lock and a working folder below `<state>/tmp`; what a killed call left there is removed by the
    next one. Logs of exports, builds and measurements are below `<state>/logs`.

    Args:
        state: The project's state folder, `.turnout`.
        root: The project's folder.
    """

    def __init__(self, state: Path, root: Path) -> None:
        self._state = state.absolute()
        self._root = root.absolute()

    def package(self, job: PackageJob, progress: Callable[[str], None]) -> PackageRecord:
        """See `Packager.package`."""
        ref = job.version.ref
        logged = LoggedFolder.read(job.model)
        if logged.flavour in EXPORTERS:
            EXPORTERS[logged.flavour].require(export=not job.native)
        with _storage(f"packaging {ref}", self._state), working_folder(self._state / "tmp", ref) as work:
            manifest = self._export(job, logged, work, progress)
            stage = work / "stage"
            if manifest.flavour != "onnx":
                shutil.copytree(job.model, stage / MODEL_FOLDER)
            needed = self._requirements(manifest, job.model)
            if job.service_code:
                manifest = self._apply(job, stage, pins.modules(needed), progress)
            build.lay_out(stage, self._root, needed)
            digest = bento_digest(stage)
            bento = self._place(ref)
            has_reference = (bento / "src" / REFERENCE_NAME).is_file()
            if bento.is_dir() and has_reference and bento_digest(bento / "src") == digest:
                progress(f"{ref.model}:{ref.number} is there already, and equal")
            else:
                progress(f"building {ref.model}:{ref.number}")
                made = build.build(work, ref, self._log("package", ref))
                # A bentofile of the project's own need not name it: nothing is served from it.
                shutil.copyfile(stage / REFERENCE_NAME, made / "src" / REFERENCE_NAME)
                _swap(made, bento, work / "replaced")
        return PackageRecord(
            bento=f"{ref.model}:{ref.number}",
            path=bento.relative_to(self._state).as_posix(),
            flavour=manifest.flavour,
            digest=digest,
            reason=manifest.reason,
            parity=manifest.parity,
            forced=job.forced,
            service_code=manifest.service_code.digests if manifest.service_code else {},
        )

    def measure(self, package: PackageRecord) -> ServingMeasure:
        """See `Packager.measure`."""
        sources = self.sources(package)
        log = self._state / "logs" / f"measure-{package.bento.replace(':', '-')}.log"
        with _storage(f"measuring {package.bento}", self._state):
            return measure.measure(sources, package.bento, log)

    def sources(self, package: PackageRecord) -> Path:
        """See `Packager.sources`."""
        sources = self._state / package.path / "src"
        ref = package.bento.replace(":", "@")
        if not sources.is_dir():
            raise PackageFailed(f"the bento {package.bento} is gone", then=f"`turnout package {ref}` makes it again.")
        if bento_digest(sources) != package.digest:
            raise PackageFailed(
                f"the bento {package.bento} in {sources} was changed after it was packaged",
                then=f"`turnout package {ref}` makes it again.",
            )
        return sources

    def size(self, package: PackageRecord) -> int:
        """See `Packager.size`."""
        with _storage(f"reading {package.bento}", self._state):
            return _size(self._state / package.path)

    def modules(self, package: PackageRecord | None) -> Modules:
        """See `Packager.modules`."""
        needed = self._state / package.path / "src" / "requirements.txt" if package else None
        if needed is None or not needed.is_file():
            return pins.modules(pins.onnx_pins())
        return pins.modules(line for line in needed.read_text(encoding="utf-8").splitlines() if line)

    def try_before(self, ref: VersionRef, model: Path, rows: Path, files: ServiceFiles) -> Trial:
        """See `Packager.try_before`."""
        with _storage(f"trying functions out for {ref}", self._state), working_folder(self._state / "tmp", ref) as work:
            bento = work / "stage"
            bento.mkdir()
            coding.lay_out(bento, files)
            log = work / "trial.log"
            return coding.run_trial(bento, files, rows, _worker_environment(), log, model.absolute())[0]

    def try_out(self, package: PackageRecord, rows: Path, files: ServiceFiles) -> Trial:
        """See `Packager.try_out`."""
        sources = self.sources(package)
        manifest = replace(Manifest.read(sources), service_code=None)
        doing = f"trying functions out around {package.bento}"
        with _storage(doing, self._state), working_folder(self._state / "tmp", manifest.ref) as work:
            bento = work / "stage"
            bento.mkdir()
            manifest.write(bento)
            (bento / MODEL_FOLDER).symlink_to(sources / MODEL_FOLDER, target_is_directory=True)
            coding.lay_out(bento, files)
            trial, _ = coding.run_trial(bento, files, rows, _worker_environment(), work / "trial.log")
            return trial

    def _apply(self, job: PackageJob, stage: Path, modules: Modules, progress: Callable[[str], None]) -> Manifest:
        names = " and ".join(function.name for function in job.service_code.functions)
        progress(f"trying {names} out on real rows")
        reference.leave_out(stage, job.service_code)
        return coding.apply(stage, job.service_code, job.rows, modules, _worker_environment())

    def remove(self, package: PackageRecord) -> int:
        """See `Packager.remove`."""
        model, _, number = package.bento.partition(":")
        with (
            _storage(f"removing {package.bento}", self._state),
            working_folder(self._state / "tmp", VersionRef(model, int(number))) as work,
        ):
            bento = self._state / package.path
            if not bento.is_dir():
                return 0
            freed = _size(bento)
            # Out of sight in one step; what is left of a removal that is killed goes with the working folder.
            bento.rename(work / "removed")
            return freed

    def _export(self, job: PackageJob, logged: LoggedFolder, work: Path, progress: Callable[[str], None]) -> Manifest:
        version = job.version
        made_from = version.provenance
        digests = {"notebook": made_from.notebook_digest, "data": made_from.data_digest, "lock": made_from.lock_digest}
        log = self._log("package", version.ref)
        (work / "stage").mkdir()
        WorkerJob(
            ref=version.ref,
            flavour=logged.flavour,
            model=job.model.absolute(),
            rows=job.rows.absolute(),
            stage=work / "stage",
            native=ASKED_FOR if job.native else "",
            run_id=version.run_id,
            digests={name: digest for name, digest in digests.items() if digest},
        ).write(work / JOB_NAME)
        verb = "loading" if job.native else "exporting"
        progress(f"{verb} the {logged.flavour} model in a process of its own")
        log.unlink(missing_ok=True)
        code = run_logged(["-m", _WORKER, str(work)], cwd=work, environment=_worker_environment(), log=log)
        manifest = _manifest(work / RESULT_NAME, code, version.ref, log)
        progress(_outcome(manifest))
        return manifest

    def _requirements(self, manifest: Manifest, model: Path) -> list[str]:
        return pins.onnx_pins() if manifest.flavour == "onnx" else pins.native_pins(manifest.flavour, model)

    def _place(self, ref: VersionRef) -> Path:
        return self._state / "bentoml" / "bentos" / ref.model / str(ref.number)

    def _log(self, verb: str, ref: VersionRef) -> Path:
        folder = self._state / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{verb}-{ref.model}-{ref.number}.log"


def _worker_environment() -> dict[str, str]:
    return {
        "PYTHONPATH": str(build.PACKAGE.parent),
        "PYTHONHASHSEED": "0",  # some converters iterate over sets
        "PYTHONWARNINGS": "ignore",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }


def _manifest(result: Path, code: int, ref: VersionRef, log: Path) -> Manifest:
    if result.is_file():
        said = json.loads(result.read_text(encoding="utf-8"))
        raise_error(said)
        return Manifest.from_dict(said)
    build.raise_storage(tail(log, lines=5), log.parent)
    if code == DISK_EXIT_CODE:
        raise StorageFailed(f"cannot write {result}", then="Free some space, and call again.")
    ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    raise PackageFailed(
        f"the process that exports {ref} {ended}: {blame(log) or 'it printed nothing'}",
        then=f"All it printed is in {log}.",
    )


def _outcome(manifest: Manifest) -> str:
    parity = manifest.parity
    if parity is None:
        return f"carrying the original {manifest.flavour} model: {manifest.reason}"
    return f"the ONNX export is equal on {parity.rows} rows, largest difference {parity.max_abs_diff:.2g}"


def _swap(made: Path, place: Path, aside: Path) -> None:
    """Put a built bento in its place; an older one steps aside in the same breath."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(aside)
    made.rename(place)


@contextmanager
def _storage(doing: str, state: Path) -> Iterator[None]:
    try:
        yield
    except shutil.Error as error:  # copying a tree collects the refusals of single files
        _, target, why = error.args[0][0]
        build.raise_storage(str(why), Path(target))
        raise PackageFailed(f"{doing} failed: {why}", then="Call again.") from error
    except OSError as error:
        if error.errno in _REFUSALS:
            error.filename = error.filename or str(state)  # a refused write names no file
            raise StorageFailed.from_os(error, doing) from error
        raise PackageFailed(f"{doing} failed: {error}", then="Call again.") from error


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
