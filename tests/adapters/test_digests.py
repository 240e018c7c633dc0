"""Digests: what counts, what does not, and that they are the same everywhere."""

from __future__ import annotations

import functools
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines.adapters.digests import FileDigests
from pipelines.adapters.hash_cache import SMALL_BYTES
from pipelines.errors import BadProject
from pipelines.values import Sources

DIGESTS = FileDigests()


def code(*sources: str | list[str], **more: Any) -> list[dict[str, Any]]:
    """Code cells."""
    return [{"cell_type": "code", "source": source, "outputs": [], "metadata": {}, **more} for source in sources]


def notebook(path: Path, *cells: dict[str, Any], **more: Any) -> str:
    """Write a notebook and return its digest."""
    path.write_text(json.dumps({"cells": list(cells), "nbformat": 4, "nbformat_minor": 5, **more}), encoding="utf-8")
    return DIGESTS.notebook(path)


def test_outputs_metadata_and_prose_do_not_count(tmp_path: Path) -> None:
    """Running a notebook, or writing about it, makes no other model."""
    path = tmp_path / "n.ipynb"
    plain = notebook(path, *code("a = 1\n", "b = 2"))
    prose: dict[str, Any] = {"cell_type": "markdown", "source": "# Title", "metadata": {}}
    ran = code("a = 1\n", "b = 2", execution_count=3, id="x")
    ran[0]["outputs"] = [{"output_type": "stream", "text": "1"}]
    assert notebook(path, prose, *ran, metadata={"kernelspec": {"name": "python3"}}) == plain
    assert len(plain) == 64


@pytest.mark.parametrize("form", [["a = 1\n", "b = 2"], "a = 1\nb = 2", "a = 1\r\nb = 2"])
def test_how_a_source_is_stored_does_not_count(tmp_path: Path, form: str | list[str]) -> None:
    """A list of lines is the text they make, with the line ends of any system; blank cells are nothing."""
    expected = notebook(tmp_path / "a.ipynb", *code("a = 1\nb = 2"))
    assert notebook(tmp_path / "b.ipynb", *code(form, "", " \n")) == expected


@pytest.mark.parametrize(
    "sources", [("a = 1", "b = 3"), ("b = 2", "a = 1"), ("a = 1b = 2",), ("a = 1",), ("a = 1", "b  = 2")]
)
def test_a_change_of_code_counts(tmp_path: Path, sources: tuple[str, ...]) -> None:
    """Another text, order or division into cells is another notebook."""
    assert notebook(tmp_path / "a.ipynb", *code(*sources)) != notebook(tmp_path / "b.ipynb", *code("a = 1", "b = 2"))


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"cells": 3}', '{"cells": [{}]}', '{"worksheets": []}', "null"]
)
def test_what_is_no_notebook_is_told(tmp_path: Path, content: str) -> None:
    """A broken file is named, with what it should be."""
    path = tmp_path / "n.ipynb"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadProject, match=r"n\.ipynb is not a Jupyter notebook"):
        DIGESTS.notebook(path)


def test_a_missing_notebook_is_told(tmp_path: Path) -> None:
    """The path and the reason."""
    with pytest.raises(BadProject, match=r"n\.ipynb cannot be read: No such file"):
        DIGESTS.notebook(tmp_path / "n.ipynb")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with files in depth."""
    folder = tmp_path / "one" / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.csv").write_text("1", encoding="utf-8")
    (folder / "deep" / "b.csv").write_text("2", encoding="utf-8")
    return folder


def test_no_paths_have_no_digest() -> None:
    """Nothing to digest is told from an empty folder."""
    assert DIGESTS.files([]) == ""


def test_an_equal_copy_elsewhere_has_the_same_digest(data: Path, tmp_path: Path) -> None:
    """Neither the place, nor times and permissions, nor what is found beside the data, counts."""
    copy = tmp_path / "two" / "else" / "data"
    shutil.copytree(data, copy)
    (copy / "a.csv").chmod(0o600)
    os.utime(copy / "a.csv", (0, 0))
    for beside in (".ipynb_checkpoints", "__pycache__", ".turnout"):
        (copy / beside).mkdir()
        (copy / beside / "x").touch()
    (copy / "empty").mkdir()
    (copy / ".DS_Store").touch()
    assert DIGESTS.files([copy]) == DIGESTS.files([data])
    assert DIGESTS.files([copy / "a.csv", copy / "deep"]) == DIGESTS.files([data / "deep", data / "a.csv"])


def test_every_change_of_the_data_counts(data: Path) -> None:
    """Content, name, place, one file more and one file less each give another digest."""

    def relink() -> None:
        (data / "link").unlink()
        (data / "link").symlink_to("deep")

    changes: list[Callable[[], object]] = [
        lambda: (data / "a.csv").write_text("3", encoding="utf-8"),
        lambda: (data / "a.csv").rename(data / "c.csv"),
        lambda: (data / "c.csv").rename(data / "deep" / "c.csv"),
        (data / "new").touch,
        (data / "deep" / "b.csv").unlink,
        functools.partial((data / "link").symlink_to, "new"),
        relink,
    ]
    seen = [DIGESTS.files([data])]
    for change in changes:
        change()
        seen.append(DIGESTS.files([data]))
    assert len(set(seen)) == len(changes) + 1


def test_two_files_do_not_run_into_each_other(tmp_path: Path) -> None:
    """What stands at the end of one file and at the start of the next is not the same."""
    for folder, first, second in (("x", "ab", "c"), ("y", "a", "bc")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1").write_text(first, encoding="utf-8")
        (tmp_path / folder / "2").write_text(second, encoding="utf-8")
    assert DIGESTS.files([tmp_path / "x" / "1", tmp_path / "x" / "2"]) != DIGESTS.files(
        [tmp_path / "y" / "1", tmp_path / "y" / "2"]
    )


def test_exchanged_files_are_another_digest(tmp_path: Path) -> None:
    """Which file has which content counts, also when both are called alike."""
    for name, content in (("a/x", "1"), ("b/x", "2")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content, encoding="utf-8")
    paths = [tmp_path / "a/x", tmp_path / "b/x"]
    before = DIGESTS.files(paths)
    (tmp_path / "a/x").write_text("2", encoding="utf-8")
    (tmp_path / "b/x").write_text("1", encoding="utf-8")
    assert DIGESTS.files(paths) != before


def test_a_link_out_of_the_folder_is_not_followed(data: Path, tmp_path: Path) -> None:
    """What lies outside does not count, nor does a link in a circle keep the reader going."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (data / "out").symlink_to(outside)
    (data / "circle").symlink_to(data)
    before = DIGESTS.files([data])
    (outside / "more").write_text("x", encoding="utf-8")
    assert DIGESTS.files([data]) == before


def test_an_absolute_link_within_the_data_is_the_same_elsewhere(data: Path, tmp_path: Path) -> None:
    """A link inside the folder counts by where it points to from there."""
    (data / "link").symlink_to(data / "deep" / "b.csv")
    copy = tmp_path / "two" / "data"
    shutil.copytree(data, copy, symlinks=True)
    (copy / "link").unlink()
    (copy / "link").symlink_to(copy / "deep" / "b.csv")
    assert DIGESTS.files([copy]) == DIGESTS.files([data])


def test_accents_are_the_same_on_every_system(tmp_path: Path) -> None:
    """A name spelt with one character or with two is one name."""
    digests = []
    for number, name in enumerate(("caf\u00e9", "cafe\u0301")):
        folder = tmp_path / str(number) / "data"
        folder.mkdir(parents=True)
        (folder / name).write_text("x", encoding="utf-8")
        digests.append(DIGESTS.files([folder]))
    assert digests[0] == digests[1]


def test_a_pipe_does_not_keep_the_reader_waiting(data: Path) -> None:
    """Inside a folder it is passed over, named itself it is an error."""
    before = DIGESTS.files([data])
    os.mkfifo(data / "pipe")
    assert DIGESTS.files([data]) == before
    with pytest.raises(BadProject, match="no regular file"):
        DIGESTS.files([data / "pipe"])


def test_a_missing_path_is_told(data: Path) -> None:
    """The path, and where to correct it."""
    with pytest.raises(BadProject, match=r"absent\.csv cannot be read: No such file.*`inputs` in the project file"):
        DIGESTS.files([data, data / "absent.csv"])


def sources(root: Path, *inputs: str, commands: tuple[str, ...] = (), lock: Path | None = None) -> Sources:
    """The dependencies of a notebook `nb/n.ipynb`, which is there afterwards."""
    path = root / "nb" / "n.ipynb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        notebook(path, *code("import features", "b = 2"))
    return Sources(path, root, tuple(root / name for name in inputs), commands, lock)


def test_all_that_a_stage_depends_on_is_digested_part_by_part(tmp_path: Path) -> None:
    """The whole digests are those of `notebook` and `files`; the parts have names that a person knows."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("1", encoding="utf-8")
    (tmp_path / "lock.txt").touch()
    given = sources(tmp_path, "data", commands=("echo 1",), lock=tmp_path / "lock.txt")
    (tmp_path / "nb" / "features.py").touch()
    seen = DIGESTS.depends(given)
    assert seen.notebook == DIGESTS.notebook(given.notebook)
    assert seen.lock == DIGESTS.files([tmp_path / "lock.txt"])
    assert len({seen.notebook, seen.data, seen.code, seen.lock}) == 4
    assert len(seen.parts.cells) == 2
    assert list(seen.parts.inputs) == ["data/a.csv", "the output of `echo 1`"]
    assert list(seen.parts.modules) == ["nb/features.py"]
    assert list(seen.parts.lock) == ["lock.txt"]


def test_without_commands_and_modules_the_digests_are_those_of_an_earlier_release(tmp_path: Path) -> None:
    """Or every version there is would be trained again."""
    (tmp_path / "a.csv").write_text("1", encoding="utf-8")
    seen = DIGESTS.depends(sources(tmp_path, "a.csv"))
    assert seen.data == DIGESTS.files([tmp_path / "a.csv"])
    assert seen.code == ""
    assert DIGESTS.depends(sources(tmp_path)).data == ""


def test_a_pattern_stands_for_what_it_matches(tmp_path: Path) -> None:
    """One file more is a change; what does not match is none; nothing that matches is told."""
    for name in ("a.csv", "b.csv", "c.txt"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    given = sources(tmp_path, "*.csv")
    before = DIGESTS.depends(given)
    assert list(before.parts.inputs) == ["a.csv", "b.csv"]
    assert before.data == DIGESTS.files([tmp_path / "a.csv", tmp_path / "b.csv"])
    (tmp_path / "c.txt").write_text("other", encoding="utf-8")
    assert DIGESTS.depends(given).data == before.data
    (tmp_path / "d.csv").touch()
    assert DIGESTS.depends(given).data != before.data
    with pytest.raises(BadProject, match=r"\*\.json matches nothing"):
        DIGESTS.depends(sources(tmp_path, "*.json"))


def test_the_output_of_a_command_counts(tmp_path: Path) -> None:
    """It runs in the project's folder, and only what it prints counts."""
    (tmp_path / "head").write_text("1", encoding="utf-8")
    given = sources(tmp_path, commands=("cat head",))
    before = DIGESTS.depends(given).data
    (tmp_path / "other").touch()
    assert DIGESTS.depends(given).data == before != ""
    (tmp_path / "head").write_text("2", encoding="utf-8")
    assert DIGESTS.depends(given).data != before


@pytest.mark.parametrize(("command", "said"), [("echo gone >&2; exit 3", "exit code 3: gone"), ("nobody-here", "127")])
def test_a_command_that_fails_is_told(tmp_path: Path, command: str, said: str) -> None:
    """Its last words, and no digest of nothing."""
    with pytest.raises(BadProject, match=said):
        DIGESTS.depends(sources(tmp_path, commands=(command,)))


def test_of_very_many_files_the_declared_input_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag has room for so many parts only; every file counts all the same."""
    monkeypatch.setattr("pipelines.adapters.digests.PARTS", 3)
    (tmp_path / "many").mkdir()
    for number in range(5):
        (tmp_path / "many" / str(number)).write_text("1", encoding="utf-8")
    before = DIGESTS.depends(sources(tmp_path, "many"))
    assert list(before.parts.inputs) == ["many"]
    (tmp_path / "many" / "4").write_text("2", encoding="utf-8")
    after = DIGESTS.depends(sources(tmp_path, "many"))
    assert after.data != before.data
    assert after.parts.inputs != before.parts.inputs


def settled(path: Path, text: bytes) -> None:
    """A large file that was touched long ago, as far as a test can say so."""
    path.write_bytes(text)
    os.utime(path, (1, 1))


def test_a_large_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While size, times and place are the same; another content is seen, also under an old time."""
    monkeypatch.setattr("pipelines.adapters.hash_cache.SETTLED_NS", -1)
    big = tmp_path / "big"
    settled(big, b"a" * SMALL_BYTES)
    cached = FileDigests(tmp_path / "cache" / "digests.db")
    assert cached.files([big]) == DIGESTS.files([big])
    with closing(sqlite3.connect(tmp_path / "cache" / "digests.db")) as base, base:
        assert base.execute("UPDATE files SET digest = 'remembered'").rowcount == 1
    assert cached.files([big]) != DIGESTS.files([big]), "the remembered one is used"
    settled(big, b"b" * SMALL_BYTES)
    assert cached.files([big]) == DIGESTS.files([big]), "the time of change tells"


def test_what_was_touched_a_moment_ago_is_not_remembered(tmp_path: Path) -> None:
    """A second change within one tick of the clock would not be seen."""
    big = tmp_path / "big"
    settled(big, b"a" * SMALL_BYTES)
    FileDigests(tmp_path / "digests.db").files([big])
    assert not (tmp_path / "digests.db").exists()


@pytest.mark.parametrize("content", [b"no database", b""])
def test_a_broken_cache_only_costs_time(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is right, and nobody is told of the cache."""
    monkeypatch.setattr("pipelines.adapters.hash_cache.SETTLED_NS", -1)
    (tmp_path / "digests.db").write_bytes(content)
    settled(tmp_path / "big", b"a" * SMALL_BYTES)
    assert FileDigests(tmp_path / "digests.db").files([tmp_path / "big"]) == DIGESTS.files([tmp_path / "big"])
