"""Lay out a bento's source folder, and let BentoML build a bento of it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pipelines
from pipelines.adapters.packaging.digest import BENTOFILE, bento_digest
from pipelines.adapters.packaging.process import blame, run_logged, tail
from pipelines.adapters.packaging.workplace import remember_elsewhere
from pipelines.errors import PackageFailed, StorageFailed
from pipelines.values import MODEL_FOLDER, VersionRef

SERVICE = "service.py"
PACKAGE = Path(pipelines.__file__).parent
CARRIED = ("__init__.py", "py.typed", "errors.py", "values", "serving")
"""What a bento carries of this package."""

_STORAGE = re.compile(r"\[Errno (?:28|30|13|122|27)\] (?P<said>[^:\n]+)(?:: '(?P<path>[^'\n]+)')?")
_COPY = shutil.ignore_patterns("__pycache__", "*.pyc")


def bento_files(root: Path) -> tuple[Path, Path]:
    """The `service.py` and `bentofile.yaml` that bentos of a project are built from.

    They are the project's own where its folder has a `bentofile.yaml` (with its `service.py`, if it has one too), else
    those that come with this package.

    Raises:
        PackageFailed: the installation lacks them.
    """
    installed = next((place for place in (PACKAGE / "bento", PACKAGE.parent) if (place / BENTOFILE).is_file()), None)
    if installed is None:
        raise PackageFailed(f"this installation has no {BENTOFILE}", then="Install turnout again.")
    if not (root / BENTOFILE).is_file():
        return installed / SERVICE, installed / BENTOFILE
    service = root / SERVICE if (root / SERVICE).is_file() else installed / SERVICE
    return service, root / BENTOFILE


def lay_out(stage: Path, root: Path, requirements: list[str]) -> None:
    """Copy into `stage` what a bento has besides the model, its manifest and its warm-up."""
    service, bentofile = bento_files(root)
    shutil.copyfile(service, stage / SERVICE)
    shutil.copyfile(bentofile, stage / BENTOFILE)
    package = stage / PACKAGE.name
    package.mkdir(exist_ok=True)
    for name in CARRIED:
        source = PACKAGE / name
        if source.is_dir():
            shutil.copytree(source, package / name, ignore=_COPY, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, package / name)
    (stage / "requirements.txt").write_text("\n".join(requirements) + "\n", encoding="utf-8")
    if bentofile.parent == root and root != PACKAGE.parent:
        _copy_own(stage, root, bentofile)


def _copy_own(stage: Path, root: Path, bentofile: Path) -> None:
    """Copy what a project's own bentofile includes besides."""
    import yaml

    try:
        described = yaml.safe_load(bentofile.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise PackageFailed(f"{bentofile} is not YAML: {error}", then="Correct it, and call again.") from error
    for pattern in described.get("include") or []:
        for path in sorted(root.glob(pattern)):
            target = stage / path.relative_to(root)
            if path.is_file() and not target.exists() and "__pycache__" not in path.parts:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def build(work: Path, ref: VersionRef, log: Path) -> Path:
    """Have BentoML build a bento of `work/stage`, in a BentoML home of its own.

    In a process of its own too: a second build in the same one would find the first one's service module.

    Args:
        work: A working folder with a complete source folder `stage`, whose model is moved into the bento.
        ref: The bento's tag is `model:number`.
        log: Gets what BentoML prints.

    Returns:
        The bento's folder, below `work`.

    Raises:
        PackageFailed: BentoML refused, or left files out.
        StorageFailed: the disk is full or read-only.
    """
    stage, home = work / "stage", work / "home"
    home.mkdir()
    laid_out = bento_digest(stage)
    with visible_copy(work, stage) as plain:
        _run_bentoml(plain, ref, home, log)
    bento = home / "bentos" / ref.model / str(ref.number)
    (stage / MODEL_FOLDER).rename(bento / "src" / MODEL_FOLDER)
    if bento_digest(bento / "src") != laid_out:
        absent = sorted(_names(stage) - _names(bento / "src"))
        raise PackageFailed(
            f"the built bento differs from what it was built from: it has no {', '.join(absent[:5]) or 'equal files'}",
            instead=f"the `include` of {BENTOFILE} covers everything that lies in the bento's folder",
            then=f"Compare your {BENTOFILE} with the one that comes with turnout.",
        )
    return bento


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def visible_copy(work: Path, stage: Path) -> Iterator[Path]:
    """A copy of the stage, without its model, where BentoML accepts it.

    BentoML refuses files below any folder with a leading dot, and `.turnout` is one. The model may be large, and need
    not be copied to and fro.
    """
    places = (Path(tempfile.gettempdir()).resolve(), Path("/tmp"), Path("/var/tmp"))  # noqa: S108
    place = next((place for place in places if not any(part.startswith(".") for part in place.parts)), places[0])
    plain = Path(tempfile.mkdtemp(prefix="turnout-build-", dir=place))
    try:
        remember_elsewhere(work, plain)
        shutil.copytree(
            stage, plain, ignore=lambda folder, _: [MODEL_FOLDER] * (Path(folder) == stage), dirs_exist_ok=True
        )
        yield plain
    finally:
        shutil.rmtree(plain, ignore_errors=True)


def _run_bentoml(plain: Path, ref: VersionRef, home: Path, log: Path) -> None:
    command = ["-m", "bentoml", "build", "--name", ref.model, "--version", str(ref.number), str(plain)]
    environment = {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "OTEL_SDK_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(plain),
    }
    code = run_logged(command, cwd=plain, environment=environment, log=log)
    if code or not (home / "bentos" / ref.model / str(ref.number) / "src").is_dir():
        raise_storage(tail(log, lines=5), home)
        raise PackageFailed(
            f"BentoML could not build {ref.model}:{ref.number}: {blame(log) or f'exit code {code}'}",
            then=f"The whole of it is in {log}.",
        )


def raise_storage(said: str, place: Path) -> None:
    """Raise StorageFailed when what was said is a refusal to write, at `place` if it names no file."""
    refused = _STORAGE.search(said)
    if refused:
        raise StorageFailed(
            f"cannot write {refused['path'] or place}: {refused['said']}",
            then="Free some space (`turnout prune` removes old versions) or make the folder writable, and call again.",
        )
