"""Where the code stands, asked of real repositories."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from pipelines.adapters.clock import SystemClock
from pipelines.adapters.revisions import CodeRevisions
from pipelines.values import Revision

REVISIONS = CodeRevisions()
NONE = Revision()


def git(folder: Path, *arguments: str) -> str:
    """Run Git in a folder, with a name to commit under and without the user's own settings."""
    command = [
        "git",
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@example.org",
        "-c",
        "commit.gpgsign=false",
        *arguments,
    ]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A Git repository with a project in a folder of its own and one commit."""
    folder = tmp_path / "repository"
    (folder / "project").mkdir(parents=True)
    (folder / "project" / "train.ipynb").write_text("1", encoding="utf-8")
    (folder / "other.txt").write_text("1", encoding="utf-8")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_a_clean_working_copy_has_its_commit(repository: Path) -> None:
    """The full hash, and not dirty."""
    assert REVISIONS.revision(repository / "project") == Revision(
        "git", git(repository, "rev-parse", "HEAD"), dirty=False
    )


def test_changes_make_it_dirty(repository: Path) -> None:
    """A changed, a new and a staged file each do; the commit stays the same."""
    project = repository / "project"
    head = git(repository, "rev-parse", "HEAD")
    (project / "new.py").touch()
    assert REVISIONS.revision(project) == Revision("git", head, dirty=True)
    git(repository, "add", ".")
    assert REVISIONS.revision(project).dirty
    git(repository, "commit", "-q", "-m", "second")
    assert not REVISIONS.revision(project).dirty
    (project / "train.ipynb").write_text("2", encoding="utf-8")
    assert REVISIONS.revision(project).dirty


def test_only_the_projects_folder_counts(repository: Path) -> None:
    """A change elsewhere in the repository, and Turnout's own state, do not make the project dirty."""
    project = repository / "project"
    (repository / "other.txt").write_text("2", encoding="utf-8")
    (project / ".turnout").mkdir()
    (project / ".turnout" / "mlflow.db").touch()
    assert not REVISIONS.revision(project).dirty


def test_a_repository_without_a_commit_has_no_revision(tmp_path: Path) -> None:
    """It is Git all the same, and dirty as soon as there is a file."""
    git(tmp_path, "init", "-q")
    (tmp_path / "a").touch()
    assert REVISIONS.revision(tmp_path) == Revision("git", "", dirty=True)


def test_a_worktree_is_a_working_copy(repository: Path, tmp_path: Path) -> None:
    """Where `.git` is a file the answer is the same."""
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert REVISIONS.revision(tmp_path / "tree") == Revision("git", git(repository, "rev-parse", "HEAD"), dirty=False)


def test_asking_changes_nothing(repository: Path) -> None:
    """The index is not refreshed: another Git at work is not disturbed."""
    os.utime(repository / "other.txt", (1, 1))
    before = (repository / ".git" / "index").read_bytes()
    REVISIONS.revision(repository)
    assert (repository / ".git" / "index").read_bytes() == before


def test_outside_of_any_system_there_is_none(tmp_path: Path) -> None:
    """No repository, or no folder at all."""
    assert REVISIONS.revision(tmp_path) == NONE
    assert REVISIONS.revision(tmp_path / "absent") == NONE


def test_missing_programs_are_none(repository: Path) -> None:
    """A machine without Git and Subversion trains all the same."""
    assert CodeRevisions(git="absent-git", svnversion="absent-svnversion").revision(repository) == NONE


def program(path: Path, body: str) -> str:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    """After the time-out the answer is none, and no process is left that holds the pipe."""
    os.mkfifo(tmp_path / "held")
    reader = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    try:
        hanging = program(tmp_path / "git", f"sleep 600 > {tmp_path}/held & wait")
        found = CodeRevisions(git=hanging, svnversion="absent", timeout_seconds=2).revision(tmp_path)
        # The pipe hangs up when the last process that held it has ended.
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        events = poll.poll(10_000)
    finally:
        os.close(reader)
    assert found == NONE
    assert [event & select.POLLHUP for _, event in events] == [select.POLLHUP]


@pytest.mark.parametrize("body", ["echo nonsense; exit 3", "kill -9 $$", "printf '\\377\\376'"])
def test_nonsense_raises_nothing(tmp_path: Path, body: str) -> None:
    """A program that fails, dies or writes what is no text gives no revision and no error."""
    broken = program(tmp_path / "program", body)
    assert CodeRevisions(git=broken, svnversion=broken).revision(tmp_path).revision == ""


def test_a_hooks_variables_do_not_mislead(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a Git hook of another repository the folder's own repository counts."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    found = REVISIONS.revision(repository)
    monkeypatch.undo()
    assert found == Revision("git", git(repository, "rev-parse", "HEAD"), dirty=False)


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("4123", Revision("svn", "4123", dirty=False)),
        ("4123M", Revision("svn", "4123", dirty=True)),
        ("4123:4168MS", Revision("svn", "4123:4168", dirty=True)),
        ("4123P", Revision("svn", "4123", dirty=False)),
        ("exported", NONE),
        ("Unversioned directory", NONE),
        ("Uncommitted local addition, copy or move", NONE),
    ],
)
def test_what_svnversion_says_is_read(tmp_path: Path, says: str, expected: Revision) -> None:
    """Every form that its manual lists."""
    fake = program(tmp_path / "svnversion", f"printf '{says}'")
    assert CodeRevisions(git="absent", svnversion=fake).revision(tmp_path) == expected


@pytest.mark.apt
@pytest.mark.skipif(not shutil.which("svnadmin"), reason="needs Subversion (`apt-get install subversion`)")
def test_a_subversion_working_copy_has_its_revision(tmp_path: Path) -> None:
    """A real repository: clean after the commit, dirty after a change."""
    store, copy = tmp_path / "store", tmp_path / "copy"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    run("svnadmin", "create", str(store))
    run("svn", "checkout", "-q", store.as_uri(), str(copy))
    (copy / "train.ipynb").write_text("1", encoding="utf-8")
    run("svn", "add", "-q", str(copy / "train.ipynb"))
    run("svn", "commit", "-q", "-m", "first", str(copy))
    run("svn", "update", "-q", str(copy))
    assert REVISIONS.revision(copy) == Revision("svn", "1", dirty=False)
    (copy / "train.ipynb").write_text("2", encoding="utf-8")
    assert REVISIONS.revision(copy) == Revision("svn", "1", dirty=True)


def test_the_clock_is_in_utc() -> None:
    """Times of machines in different zones can be compared, and do not run backwards."""
    first, second = SystemClock().now(), SystemClock().now()
    assert first.tzinfo is UTC
    assert timedelta(0) <= second - first
