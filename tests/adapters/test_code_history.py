"""Versions and the history of the code, asked of real repositories: what came since, and tags at promotions."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.adapters.revisions import CodeRevisions
from pipelines.errors import BadInput, Refused
from pipelines.values import Revision
from tests.adapters.test_revisions import git, program

REVISIONS = CodeRevisions()


def commit(folder: Path, text: str) -> Revision:
    """Commit a file with that text; the revision."""
    (folder / "train.ipynb").write_text(text, encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", text)
    return REVISIONS.revision(folder)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty Git repository on the branch main."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def test_since_goes_by_ancestry(repository: Path) -> None:
    """A commit, its descendants and merges of it are; what came before, or beside it, is not."""
    first, second = commit(repository, "first"), commit(repository, "second")
    git(repository, "checkout", "-q", "-b", "other", first.revision)
    (repository / "beside.txt").write_text("x")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "beside")
    beside = REVISIONS.revision(repository)
    git(repository, "merge", "-q", "-m", "both", "main")
    merged = REVISIONS.revision(repository)
    asked = [first, second, beside, merged]
    assert REVISIONS.are_since(repository, second.revision, asked) == [False, True, False, True]
    assert REVISIONS.are_since(repository, "main", asked) == [False, True, False, True]
    assert REVISIONS.are_since(repository, first.revision[:10], asked) == [True] * 4


def test_what_the_repository_does_not_have_is_not_since(repository: Path) -> None:
    """A commit of another clone, no commit at all, and a number of Subversion."""
    first = commit(repository, "first")
    asked = [Revision("git", "f" * 40), Revision("git", ""), Revision(), Revision("svn", "9"), first]
    assert REVISIONS.are_since(repository, "HEAD", asked) == [False, False, False, False, True]


@pytest.mark.parametrize("mark", ["nowhere", "-h", "--all", "", "a b", "HEAD~9"])
def test_a_mark_that_is_none_is_told(repository: Path, mark: str) -> None:
    """It names what was asked for, and is never taken for an option."""
    first = commit(repository, "first")
    with pytest.raises(BadInput, match="no commit"):
        REVISIONS.are_since(repository, mark, [first])


def test_without_version_control_nothing_is_since(tmp_path: Path) -> None:
    """The message says what is missing."""
    with pytest.raises(BadInput, match="no version control"):
        REVISIONS.are_since(tmp_path, "HEAD", [])


def test_subversion_goes_by_number(tmp_path: Path) -> None:
    """Of a mixed working copy the lowest number counts; r is allowed in front; a word is no number."""
    svnversion = program(tmp_path / "svnversion", "printf 20")
    revisions = CodeRevisions(git="absent", svnversion=svnversion)
    asked = [Revision("svn", number) for number in ("9", "10", "11", "9:12", "10:12", "")]
    expected = [False, True, True, False, True, False]
    assert revisions.are_since(tmp_path, "10", asked) == expected
    assert revisions.are_since(tmp_path, "r10", [*asked, Revision("git", "1" * 40)]) == [*expected, False]
    with pytest.raises(BadInput, match="no revision of Subversion"):
        revisions.are_since(tmp_path, "HEAD", asked)


def tags(folder: Path) -> str:
    """Names, kinds, taggers and subjects."""
    return git(folder, "for-each-ref", "--format=%(refname:short) %(objecttype) %(taggeremail) %(subject)", "refs/tags")


def test_a_tag_is_annotated_and_stands_at_the_versions_commit(repository: Path) -> None:
    """Not at the newest one; setting it again changes nothing."""
    first = commit(repository, "first")
    commit(repository, "second")
    git(repository, "config", "user.email", "ada@example.org")
    git(repository, "config", "user.name", "Ada")
    for _ in range(2):
        REVISIONS.tag(repository, "digits@7", first, "digits@7 is the champion.")
    assert tags(repository) == "digits@7 tag <ada@example.org> digits@7 is the champion."
    assert git(repository, "rev-parse", "digits@7^{commit}") == first.revision


def test_a_machine_without_a_name_tags_all_the_same(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon started by the system has no name in Git: the tag says that Turnout has set it. Nothing is signed."""
    first = commit(repository, "first")
    git(repository, "config", "user.useConfigOnly", "true")
    git(repository, "config", "tag.gpgSign", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    CodeRevisions().tag(repository, "digits@7", first, "it")
    assert "<turnout@localhost>" in tags(repository)


def test_a_tag_that_stands_elsewhere_is_left_alone(repository: Path) -> None:
    """The message names both places."""
    first, second = commit(repository, "first"), commit(repository, "second")
    REVISIONS.tag(repository, "digits@7", first, "it")
    with pytest.raises(Refused, match=f"{first.revision[:12]}, not at {second.revision[:12]}"):
        REVISIONS.tag(repository, "digits@7", second, "it")
    assert git(repository, "rev-parse", "digits@7^{commit}") == first.revision


def test_what_cannot_be_tagged_is_told(repository: Path, tmp_path: Path) -> None:
    """A commit that is gone, a repository that is gone, a version of Subversion or of no system."""
    first = commit(repository, "first")
    for revision, said in ((Revision("git", "f" * 40), "any more"), (Revision("svn", "9"), "Git"), (Revision(), "Git")):
        with pytest.raises(Refused, match=said):
            REVISIONS.tag(repository, "digits@7", revision, "it")
    shutil.rmtree(repository / ".git")
    with pytest.raises(Refused, match="is gone"):
        REVISIONS.tag(repository, "digits@7", first, "it")
    assert tmp_path.is_dir()


def test_a_repository_that_takes_no_tag_is_told(repository: Path) -> None:
    """A lock that another Git has left: one line that says how to find out."""
    first = commit(repository, "first")
    (repository / ".git" / "refs" / "tags").mkdir(exist_ok=True)
    (repository / ".git" / "refs" / "tags" / "digits@7.lock").touch()
    with pytest.raises(Refused, match="git tag -a digits@7"):
        REVISIONS.tag(repository, "digits@7", first, "it")


@pytest.mark.apt
@pytest.mark.skipif(not shutil.which("svnadmin"), reason="needs Subversion (`apt-get install subversion`)")
def test_a_real_subversion_copy_knows_what_came_since(tmp_path: Path) -> None:
    """Two commits, the second at or after the second and not the first."""
    store, copy = tmp_path / "store", tmp_path / "copy"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=60, env={**os.environ, "LC_ALL": "C"})

    run("svnadmin", "create", str(store))
    run("svn", "checkout", "-q", store.as_uri(), str(copy))
    found = []
    for text in ("1", "2"):
        (copy / "train.ipynb").write_text(text, encoding="utf-8")
        run("svn", "add", "-q", "--force", str(copy / "train.ipynb"))
        run("svn", "commit", "-q", "-m", text, str(copy))
        run("svn", "update", "-q", str(copy))
        found.append(REVISIONS.revision(copy))
    assert REVISIONS.are_since(copy, "2", found) == [False, True]
