"""The fakes whose real counterparts have suites of their own: they keep the promises that the stages rely on."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path

import pytest

from pipelines.errors import ExportFailed, PackageFailed, ServeFailed
from pipelines.ports import PackageJob
from pipelines.values import ModelVersion, VersionRef
from tests.fakes import MEASURED, FakeClock, FakeDigests, FakeExecutions, FakeHosts, FakePackager


def job(number: int = 1, *, native: bool = False) -> PackageJob:
    """A job for a version."""
    version = ModelVersion(VersionRef("digits", number), f"run-{number}", f"models:/m-{number}", FakeClock().now())
    return PackageJob(version, Path("model"), Path("inputs.npy"), native=native, forced="a trial")


def test_the_same_job_gives_the_same_digest() -> None:
    """And another version, or the same one carried natively, gives another."""
    packager = FakePackager()
    digests = [packager.package(each, print).digest for each in (job(), job(), job(2), job(native=True))]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert all(len(digest) == 64 for digest in digests)


def test_a_record_says_what_was_asked() -> None:
    """ONNX with its proof, or the framework with the reason; a forced package keeps why."""
    onnx, native = (FakePackager().package(job(native=native), print) for native in (False, True))
    assert (onnx.flavour, onnx.reason, onnx.parity is None, onnx.forced) == ("onnx", "", False, "a trial")
    assert (native.flavour, native.parity) == ("sklearn", None)
    assert native.reason


def test_a_bento_is_there_until_it_is_removed() -> None:
    """It is measured and served while it is there; afterwards the error names the way back, and nothing is freed."""
    packager = FakePackager()
    record = packager.package(job(), print)
    assert packager.measure(record) == MEASURED
    assert packager.sources(record) == Path(record.path)
    assert packager.remove(record) > 0
    assert packager.remove(record) == 0
    with pytest.raises(PackageFailed, match="turnout package"):
        packager.measure(record)


def test_a_scripted_failure_is_raised_and_leaves_nothing() -> None:
    """Of a packager and of hosts."""
    packager = FakePackager(failure=ExportFailed("as scripted"))
    with pytest.raises(ExportFailed, match="as scripted"):
        packager.package(job(), print)
    assert (packager.jobs, packager.bentos) == ([], {})
    hosts = FakeHosts(ServeFailed("as scripted"))
    with pytest.raises(ServeFailed, match="as scripted"):
        hosts.serve(Path("bento"), 3000)
    assert hosts.served == []


def test_digests_follow_what_stands_in_the_files() -> None:
    """Equal contents, equal digests; a test changes one by its name; nothing to digest is empty."""
    digests = FakeDigests()
    train, data = Path("train.ipynb"), Path("data.csv")
    before = digests.notebook(train), digests.files([data])
    assert (digests.notebook(train), digests.files([data])) == before
    digests.contents["train.ipynb"] = "changed"
    assert digests.notebook(train) != before[0]
    assert digests.files([data]) == before[1]
    assert digests.files([]) == ""


def test_time_passes_when_a_test_says_so() -> None:
    """In UTC, and by no other clock."""
    clock = FakeClock()
    before = clock.now()
    assert clock.now() == before
    clock.advance(minutes=2)
    assert clock.now() - before == timedelta(minutes=2)
    assert before.tzinfo == UTC


def test_executed_notebooks_get_a_place_each(tmp_path: Path) -> None:
    """Never the same twice, in a folder that exists."""
    executions = FakeExecutions(tmp_path / "runs")
    places = {executions.place("digits", verb) for verb in ("train", "train", "validate")}
    assert len(places) == 3
    assert all(place.parent.is_dir() for place in places)
