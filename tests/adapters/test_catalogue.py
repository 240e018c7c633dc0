"""The catalogue of packaged versions keeps its promises, also when the disk does not."""

from __future__ import annotations

import json
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.adapters.catalogue import FileCatalogue
from pipelines.errors import PackageFailed, StorageFailed
from pipelines.ports import Catalogue
from pipelines.values import Bento, VersionRef
from tests.fakes import FakeCatalogue


def whole_text(folder: Path) -> str:
    """A digest for these tests: all text below the folder."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder, with a space and a letter beyond ASCII in its path."""
    return tmp_path / "mein Prüfstand" / ".turnout"


@pytest.fixture
def catalogue(state: Path) -> FileCatalogue:
    """An empty catalogue."""
    return FileCatalogue(state, whole_text)


@pytest.fixture(params=["files", "memory"])
def any_catalogue(request: pytest.FixtureRequest, catalogue: FileCatalogue) -> Catalogue:
    """Each implementation: they keep the same promises."""
    return catalogue if request.param == "files" else FakeCatalogue()


@pytest.fixture
def bento(state: Path) -> Bento:
    """A bento with one file."""
    sources = state / "bentoml" / "bentos" / "digits" / "7" / "src"
    sources.mkdir(parents=True)
    (sources / "service.py").write_text("serve", encoding="utf-8")
    return Bento(VersionRef("digits", 7), str(sources), "serve", is_passed=True, forced="ü", memory_mb=61.5)


def test_what_is_put_is_got(any_catalogue: Catalogue, bento: Bento) -> None:
    """A bento comes back equal, its path absolute; what was never put is None."""
    any_catalogue.put(bento)
    assert any_catalogue.get(bento.ref) == bento
    assert any_catalogue.get(VersionRef("digits", 8)) is None
    assert any_catalogue.get(VersionRef("credit", 7)) is None


def test_a_later_one_replaces_an_earlier(catalogue: FileCatalogue, bento: Bento, state: Path) -> None:
    """The second put wins, and leaves no other file behind."""
    catalogue.put(bento)
    catalogue.put(replace(bento, forced="", digest="other"))
    got = catalogue.get(bento.ref)
    assert got is not None
    assert got.digest == "other"
    assert [path.name for path in (state / "packages" / "digits").iterdir()] == ["7.json"]


def test_a_moved_project_still_finds_its_bentos(catalogue: FileCatalogue, bento: Bento, state: Path) -> None:
    """Paths on disk are relative to the state folder."""
    catalogue.put(bento)
    moved = state.with_name("elsewhere")
    state.rename(moved)
    got = FileCatalogue(moved, whole_text).get(bento.ref)
    assert got is not None
    assert Path(got.sources).is_relative_to(moved)
    FileCatalogue(moved, whole_text).check(got)


def test_an_outside_bento_keeps_its_path(catalogue: FileCatalogue, bento: Bento, tmp_path: Path) -> None:
    """A bento that lies elsewhere is found there."""
    catalogue.put(replace(bento, sources=str(tmp_path / "elsewhere")))
    got = catalogue.get(bento.ref)
    assert got is not None
    assert got.sources == str(tmp_path / "elsewhere")


def test_removing_is_final_and_may_be_repeated(any_catalogue: Catalogue, bento: Bento) -> None:
    """A removed bento is None; removing it once more does nothing."""
    any_catalogue.put(bento)
    any_catalogue.remove(bento.ref)
    any_catalogue.remove(bento.ref)
    assert any_catalogue.get(bento.ref) is None


def test_numbers_rise(catalogue: FileCatalogue, bento: Bento, state: Path) -> None:
    """The numbers are sorted as numbers; files of others do not count; an unknown model has none."""
    for number in (10, 9, 2):
        catalogue.put(replace(bento, ref=VersionRef("digits", number)))
    (state / "packages" / "digits" / "notes.json").write_text("{}")
    assert catalogue.numbers("digits") == [2, 9, 10]
    assert catalogue.numbers("credit") == []


def test_an_untouched_bento_passes_the_check(catalogue: FileCatalogue, bento: Bento) -> None:
    """Nothing is raised for what is as it was packaged."""
    catalogue.check(bento)


def test_a_changed_bento_is_refused(catalogue: FileCatalogue, bento: Bento) -> None:
    """One changed byte is noticed, and the cure named."""
    (Path(bento.sources) / "service.py").write_text("swerve", encoding="utf-8")
    with pytest.raises(PackageFailed, match=r"was changed .* `turnout package digits@7`"):
        catalogue.check(bento)


def test_a_deleted_bento_is_refused(catalogue: FileCatalogue, bento: Bento) -> None:
    """A bento that is gone is said to be gone, with the cure."""
    shutil.rmtree(bento.sources)
    with pytest.raises(PackageFailed, match=r"is gone.*`turnout package digits@7`"):
        catalogue.check(bento)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 2}', '"digits"'])
def test_a_broken_file_names_itself(catalogue: FileCatalogue, bento: Bento, state: Path, text: str) -> None:
    """A file that is no entry is reported with its path and the cure, never as a traceback."""
    catalogue.put(bento)
    (state / "packages" / "digits" / "7.json").write_text(text)
    with pytest.raises(PackageFailed, match=r"7\.json.*`turnout package digits@7`"):
        catalogue.get(bento.ref)


def test_a_refused_write_keeps_the_old_entry(catalogue: FileCatalogue, bento: Bento, state: Path) -> None:
    """Where nothing can be written the old entry stays, and the error says where."""
    catalogue.put(bento)
    entry = state / "packages" / "digits" / "7.json"
    before = entry.read_text(encoding="utf-8")
    blocked = replace(bento, ref=VersionRef("credit", 1))
    (state / "packages" / "credit").write_text("a file in the folder's place")
    with pytest.raises(StorageFailed, match="credit"):
        catalogue.put(blocked)
    assert entry.read_text(encoding="utf-8") == before
    assert json.loads(before)["sources"] == "bentoml/bentos/digits/7/src"


def test_a_full_disk_names_the_file_and_leaves_nothing(catalogue: FileCatalogue, bento: Bento, state: Path) -> None:
    """A file that cannot be written to its end is named; the old entry is whole, and no rest lies about."""
    catalogue.put(bento)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(StorageFailed, match=r"7\.json"):
            catalogue.put(replace(bento, forced="x" * 5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert catalogue.get(bento.ref) == bento
    assert [path.name for path in (state / "packages" / "digits").iterdir()] == ["7.json"]
