"""Versions and the code they were trained from: merges, tags at promotions, what came since."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.adapters.digests import FileDigests
from pipelines.adapters.revisions import CodeRevisions
from pipelines.errors import BadInput, Refused
from pipelines.stages.promote import tag
from pipelines.stages.ship import Shipped, ship
from pipelines.values import Alias, ModelVersion, Project, Revision
from tests.adapters.test_revisions import git
from tests.cli.test_cli import app_of, call
from tests.fakes import FakeReporter, FakeRevisions
from tests.stages.world import World


def write_notebooks(folder: Path, *cells: str) -> None:
    """A training notebook with these cells, and one that validates."""
    for name, sources in (("train", cells), ("validate", ("model_uri = ''",))):
        found = [
            {"cell_type": "code", "id": f"c{place}", "metadata": {}, "outputs": [], "execution_count": None}
            | {"source": source}
            for place, source in enumerate(sources)
        ]
        text = json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)
        (folder / f"{name}.ipynb").write_text(text)


class Repository:
    """A Git repository whose project has a fake runner, and real digests and revisions."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.folder = folder
        self.world.ports = replace(self.world.ports, digests=FileDigests(), revisions=CodeRevisions())
        git(folder, "init", "-q", "-b", "main")
        (folder / ".gitignore").write_text("registry\nruns\n.turnout\n")
        self.commit("a", "b")

    def commit(self, *cells: str) -> str:
        """Commit a training notebook with these cells; the commit."""
        write_notebooks(self.folder, *cells)
        git(self.folder, "add", ".")
        git(self.folder, "commit", "-q", "--allow-empty", "-m", " ".join(cells))
        return self.head

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return git(self.folder, "rev-parse", "HEAD")

    def ship(self) -> Shipped:
        """Ship what is checked out."""
        return ship(self.world.project, "digits", {}, self.world.ports, self.world.reporter)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """With a first commit on main."""
    return Repository(tmp_path)


def test_the_merge_result_is_shipped_and_not_the_branchs(repository: Repository) -> None:
    """Both sides changed the notebook: on main a new version is trained from both changes, at the merge commit."""
    git(repository.folder, "checkout", "-q", "-b", "feature")
    repository.commit("a", "b", "feature")
    branch = repository.ship().version
    git(repository.folder, "checkout", "-q", "main")
    repository.commit("main", "a", "b")
    git(repository.folder, "merge", "-q", "-m", "both", "feature")
    cells = json.loads((repository.folder / "train.ipynb").read_text())["cells"]
    assert [cell["source"] for cell in cells] == ["main", "a", "b", "feature"]
    merged = repository.ship().version
    assert merged.ref != branch.ref
    assert merged.provenance.revision == Revision("git", repository.head, dirty=False)
    assert repository.ship().version.ref == merged.ref


def test_a_merge_that_changes_nothing_of_the_model_trains_nothing(repository: Repository) -> None:
    """The merged notebook is the branch's: its version is the merge result, and its commit is part of main."""
    git(repository.folder, "checkout", "-q", "-b", "feature")
    repository.commit("a", "b", "feature")
    branch = repository.ship().version
    git(repository.folder, "checkout", "-q", "main")
    (repository.folder / "README.md").write_text("beside")
    git(repository.folder, "add", ".")
    git(repository.folder, "commit", "-q", "-m", "beside")
    git(repository.folder, "merge", "-q", "-m", "both", "feature")
    assert repository.ship().version.ref == branch.ref
    revisions = CodeRevisions()
    assert revisions.are_since(repository.folder, "feature", [branch.provenance.revision]) == [True]


@pytest.mark.apt
@pytest.mark.skipif(not shutil.which("svnadmin"), reason="needs Subversion (`apt-get install subversion`)")
def test_in_subversion_too_the_merge_result_is_shipped(tmp_path: Path) -> None:
    """Trunk and branch both changed the notebook: trunk gets a version of both, at the revision of the merge."""
    store, copy = tmp_path / "store", tmp_path / "copy"

    def svn(*command: str, program: str = "svn") -> str:
        said = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run([program, *command], check=True, capture_output=True, text=True, timeout=60, env=said)
        return done.stdout.strip()

    def commit(*cells: str) -> None:
        write_notebooks(copy, *cells)
        svn("commit", "-q", "-m", " ".join(cells), str(copy))
        svn("update", "-q", str(copy))

    svn("create", str(store), program="svnadmin")
    trunk, branch = f"{store.as_uri()}/trunk", f"{store.as_uri()}/feature"
    svn("mkdir", "-q", "-m", "trunk", trunk)
    svn("checkout", "-q", trunk, str(copy))
    write_notebooks(copy, "a", "b")
    svn("add", "-q", str(copy / "train.ipynb"), str(copy / "validate.ipynb"))
    commit("a", "b")
    svn("copy", "-q", "-m", "branch", trunk, branch)
    world = World(copy)
    world.ports = replace(world.ports, digests=FileDigests(), revisions=CodeRevisions())

    def shipped() -> ModelVersion:
        return ship(world.project, "digits", {}, world.ports, world.reporter).version

    svn("switch", "-q", branch, str(copy))
    commit("a", "b", "feature")
    of_branch = shipped()
    svn("switch", "-q", trunk, str(copy))
    commit("main", "a", "b")
    svn("merge", "-q", "--accept", "postpone", branch, str(copy))
    cells = json.loads((copy / "train.ipynb").read_text())["cells"]
    assert [cell["source"] for cell in cells] == ["main", "a", "b", "feature"]
    svn("commit", "-q", "-m", "both", str(copy))
    svn("update", "-q", str(copy))
    merged = shipped()
    assert merged.ref != of_branch.ref
    assert merged.provenance.revision == Revision("svn", svn("info", "--show-item", "revision", str(copy)), dirty=False)
    assert CodeRevisions().are_since(copy, merged.provenance.revision.revision, [of_branch.provenance.revision]) == [
        False
    ]
    assert shipped().ref == merged.ref


def test_what_was_not_committed_is_dirty(repository: Repository) -> None:
    """A version trained from a changed working copy says so."""
    path = repository.folder / "train.ipynb"
    path.write_text(path.read_text().replace('"b"', '"c"'))
    assert repository.ship().version.provenance.revision.dirty


def test_versions_since_a_revision(tmp_path: Path) -> None:
    """Only those that the repository calls later, the newest first; none is no error."""
    world = World(tmp_path)
    revisions = FakeRevisions()
    world.ports = replace(world.ports, revisions=revisions)
    for number in "123":
        revisions.answer = Revision("git", number * 40)
        world.train(epochs=number)
    revisions.later = {"2" * 40, "3" * 40}
    view = call(world, "versions", "digits", "--since", "v1")
    assert [each["ref"] for each in view.json()["versions"]] == ["digits@3", "digits@2"]  # type: ignore[attr-defined]
    revisions.later = set()
    assert "no version that was trained at or after v1" in str(call(world, "versions", "digits", "--since", "v1"))


def test_since_without_version_control_is_told(tmp_path: Path) -> None:
    """With the real question to Git, in a folder of no repository."""
    world = World(tmp_path)
    world.ports = replace(world.ports, revisions=CodeRevisions())
    world.train()
    with pytest.raises(BadInput, match="version control"):
        call(world, "versions", "digits", "--since", "HEAD")


class Tagged:
    """A world whose project tags its promotions.

    Args:
        folder: A temporary folder.
        failure: Why no tag can be set.
    """

    def __init__(self, folder: Path, failure: Refused | None = None) -> None:
        self.world = World(folder)
        self.revisions = FakeRevisions(failure=failure)
        self.world.ports = replace(self.world.ports, revisions=self.revisions)
        self.reporter = FakeReporter()

    def project(self, *, wants: bool = True) -> Project:
        """The project."""
        return replace(self.world.project, tag_promotions=wants)

    def run(self, *words: str, wants: bool = True) -> None:
        """Run a command of the app."""
        app = app_of(self.world)
        app.__dict__["project"] = self.project(wants=wants)
        app._reporter = self.reporter
        if words[0] == "promote":
            app.promote(words[1])
        else:
            from pipelines.values import VersionSpec

            app.champion(VersionSpec.parse(words[1]))


@pytest.mark.parametrize("verb", ["promote", "champion"])
def test_a_promotion_is_tagged(tmp_path: Path, verb: str) -> None:
    """By hand, and when the daemon tells the registry; at the version's own commit. Without the key there is none."""
    there = Tagged(tmp_path)
    ref = str(there.world.champion())
    there.run(verb, ref, wants=False)
    assert there.revisions.tags == {}
    there.run(verb, ref)
    commit, message = there.revisions.tags[ref]
    assert commit == there.revisions.answer.revision
    assert message == f"{ref} is the champion. It was trained from this commit."


@pytest.mark.parametrize("verb", ["promote", "champion"])
def test_a_tag_that_cannot_be_set_fails_no_promotion(tmp_path: Path, verb: str) -> None:
    """The version is the champion, and one line says why it has no tag."""
    there = Tagged(tmp_path, Refused("the tag digits@1 exists"))
    ref = str(there.world.champion())
    there.run(verb, ref)
    assert there.reporter.steps == [f"{ref} is the champion, and has no tag: the tag digits@1 exists."]
    assert Alias.CHAMPION in there.world.ports.registry.versions("digits")[0].aliases


def test_a_tag_says_that_the_code_was_changed(tmp_path: Path) -> None:
    """The commit alone did not make this version."""
    there = Tagged(tmp_path)
    there.revisions.answer = replace(there.revisions.answer, dirty=True)
    version = there.world.train().version
    tag(there.project(), version, there.world.ports, there.reporter)
    assert there.revisions.tags[str(version.ref)][1].endswith("with changes that were not committed.")
