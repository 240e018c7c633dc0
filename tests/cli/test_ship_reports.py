"""`ship --junit` and `--report`: written whatever comes of the shipment, and right about what came."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipelines.adapters.report_folder import plots
from pipelines.cli import main_group
from pipelines.errors import BadInput, NotebookRaised, ServeFailed, StorageFailed, TurnoutError
from pipelines.stages.resolve import Control
from pipelines.stages.ship import Shipped, Step
from pipelines.stages.ship_report import ShipReport
from pipelines.views.junit import junit_xml
from pipelines.views.markdown import report_markdown
from tests.cli.test_cli import app_of, session
from tests.fakes import FakeOperator
from tests.stages.world import World
from tests.test_views_all import NASTY
from tests.view_examples import difference, versions

PNG = b"\x89PNG\r\n\x1a\n and so on"


def ship(world: World, *more: str, operator: FakeOperator | None = None) -> bool:
    """`turnout ship digits` with both reports below `reports/`; whether it succeeded."""
    obj = session(world, [])
    if operator is not None:
        obj.app = app_of(world)
        obj.app.__dict__["control"] = Control(operator, world.ports.catalogue, lambda: world.ports.registry)
    asked = ["--junit", "reports/digits.xml", "--report", "reports/digits.md", *more]
    view = main_group.main(["ship", "digits", *asked], standalone_mode=False, obj=obj)
    return bool(view.ok)


def cases(world: World) -> dict[str, str]:
    """What each test case of the XML is: `passed`, `failure`, `error` or `skipped`."""
    root = junit(world)
    found = {
        case.get("name", ""): next((part.tag for part in case if part.tag != "system-out"), "passed")
        for case in root.iter("testcase")
    }
    for kind, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert root.get(attribute) == str(list(found.values()).count(kind))
    assert root.get("tests") == str(len(found))
    return found


def seconds(world: World) -> dict[str, float]:
    """The time of each stage."""
    suite = junit(world).find("testsuite")
    assert suite is not None
    return {case.get("name", ""): float(case.get("time", "0")) for case in suite.iter("testcase")}


def total(world: World) -> float:
    """The time of all, which is given to a thousandth: each stage may add half of one."""
    return float(junit(world).get("time", "0")) + 0.002


def junit(world: World) -> ElementTree.Element:
    """The XML."""
    return ElementTree.fromstring((world.folder / "reports" / "digits.xml").read_bytes())  # noqa: S314 - our own


def markdown(world: World) -> str:
    """The Markdown."""
    return (world.folder / "reports" / "digits.md").read_text(encoding="utf-8")


def test_a_good_shipment_passes_every_case(tmp_path: Path) -> None:
    """A case a stage and a gate; the artefacts lie beside the report, and each link of it leads to one."""
    world = World(tmp_path)
    assert ship(world)
    found = cases(world)
    assert {"train", "validate", "package", "accuracy", "accuracy_vs_champion"} <= set(found)
    assert set(found.values()) == {"passed"}
    assert "deploy" not in found
    links = re.findall(r"\]\(([^)]+)\)", markdown(world))
    assert {"digits_files/gates.json", "digits_files/train.ipynb", "digits_files/validate.ipynb"} <= set(links)
    assert all((tmp_path / "reports" / link).is_file() for link in links)
    assert json.loads((tmp_path / "reports/digits_files/gates.json").read_bytes())["ok"] is True


def test_each_stage_has_its_own_time(tmp_path: Path) -> None:
    """They add up to that of all; the stage that broke has what is left, and one that was not reached none."""
    world = World(tmp_path)
    assert ship(world)
    assert set(seconds(world)) == {"train", "validate", "package"}
    assert 0 < sum(seconds(world).values()) <= total(world)
    broken = ShipReport(
        "digits",
        Shipped(versions("x")[0], (Step("train", "done", "x"),)),
        NotebookRaised("x"),
        seconds=5.0,
        took={"train": 3.5},
    )
    cases = ElementTree.fromstring(junit_xml(broken)).iter("testcase")  # noqa: S314 - our own
    assert [case.get("time") for case in cases] == ["3.500", "1.500", "0.000"]


def test_a_failed_gate_is_a_failure_that_says_observed_and_required(tmp_path: Path) -> None:
    """Both files are written though nothing was packaged; the stage after it was not reached."""
    world = World(tmp_path, accuracy={1: 0.5})
    assert not ship(world)
    found = cases(world)
    assert (found["train"], found["validate"], found["package"]) == ("passed", "failure", "skipped")
    assert found["accuracy"] == "failure"
    text = (tmp_path / "reports" / "digits.xml").read_text()
    assert "observed 0.5, required &gt;= 0.9" in text
    assert "❌" in markdown(world)
    assert "FAIL" in markdown(world)
    assert (tmp_path / "reports/digits_files/validate.ipynb").is_file()


def test_a_notebook_that_raises_is_an_error_of_its_stage(tmp_path: Path) -> None:
    """The command fails with the notebook's error, and the executed notebook is an artefact all the same."""
    world = World(tmp_path, failure=NotebookRaised("train.ipynb, cell 2 (Train), raised ValueError: a < b & c"))
    with pytest.raises(NotebookRaised):
        ship(world)
    found = cases(world)
    assert (found["train"], found["validate"], found["package"]) == ("error", "skipped", "skipped")
    assert "a &lt; b &amp; c" in markdown(world)
    assert (tmp_path / "reports/digits_files/train.ipynb").is_file()


def test_a_deployment_that_fails_names_the_version(tmp_path: Path) -> None:
    """What was packaged before is in the report, gates and all."""
    world = World(tmp_path)
    assert ship(world)
    bento = world.ports.catalogue.get(world.ports.registry.versions("digits")[0].ref)
    assert bento
    with pytest.raises(ServeFailed):
        ship(world, "--canary", "100", operator=FakeOperator(failure=ServeFailed("it ended at once")))
    found = cases(world)
    assert (found["package"], found["deploy"], found["accuracy"]) == ("passed", "error", "passed")
    assert "digits@1" in markdown(world)


def test_a_version_is_compared_with_the_champion(tmp_path: Path) -> None:
    """Metrics side by side, and what else differs; the champion is named."""
    world = World(tmp_path, accuracy={1: 0.95, 2: 0.96})
    world.champion()
    assert ship(world, "-p", "epochs", "3")
    said = markdown(world)
    assert "### Metrics against digits@1" in said
    assert re.search(r"\| accuracy \| 0.95 \| 0.96 \| \+0.01 better \| \+0.0\d+ to \+0.0\d+ \|", said)
    assert re.search(r"\| epochs \| 8 \| 3 \| -5 \|", said)


def test_reused_stages_keep_their_artefacts(tmp_path: Path) -> None:
    """When nothing ran, the notebooks are those of the runs that are reused."""
    world = World(tmp_path)
    assert ship(world)
    (tmp_path / "reports/digits_files/train.ipynb").unlink()
    assert ship(world)
    assert world.ran() == ["train.ipynb", "validate.ipynb"]
    assert (tmp_path / "reports/digits_files/train.ipynb").is_file()
    assert cases(world)["train"] == "passed"


def test_no_report_of_before_stays(tmp_path: Path) -> None:
    """A shipment that dies leaves no older report to be taken for its own; a person's file in the folder stays."""
    world = World(tmp_path)
    assert ship(world)
    own = tmp_path / "reports/digits_files/mine.png"
    own.write_text("mine")
    (tmp_path / "reports/digits_files/train-7.png").write_text("old")
    assert ship(world)
    assert own.read_text() == "mine"
    assert not (tmp_path / "reports/digits_files/train-7.png").exists()


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    """Nothing has run when the report has no place."""
    world = World(tmp_path)
    (tmp_path / "reports").write_text("in the way")
    with pytest.raises(StorageFailed, match="reports"):
        ship(world)
    (tmp_path / "reports").unlink()
    (tmp_path / "reports" / "digits.md").mkdir(parents=True)
    with pytest.raises(BadInput, match="folder"):
        ship(world)
    assert world.ran() == []


def report(text: str) -> ShipReport:
    """One with a text from outside wherever there may be one."""
    first, second, _ = versions(text)[::-1]
    error: TurnoutError = NotebookRaised(text, then=text)
    shipped = Shipped(second, (Step("train", "done", text), Step("validate", "failed", text)))
    return ShipReport("digits", shipped, error, 1.0, first, difference(second, versions(text)[0], text))


@pytest.mark.parametrize("name", NASTY)
def test_whatever_a_text_holds_the_xml_is_xml(name: str) -> None:
    """Control characters and half characters are spelled out: a parser reads each document."""
    xml = junit_xml(report(NASTY[name])).encode("utf-8")
    assert ElementTree.fromstring(xml).tag == "testsuites"  # noqa: S314 - our own


@pytest.mark.parametrize("name", NASTY)
def test_whatever_a_text_holds_the_markdown_keeps_its_shape(name: str) -> None:
    """Each row of a table has as many cells as its head, and no text opens a tag or steers a terminal."""
    said = report_markdown(report(NASTY[name]), {NASTY[name]: "a b.png"}, [(NASTY[name], "a(b.png")])
    outside = re.sub(r"(`{3,})diff\n.*?\n\1", "", said, flags=re.DOTALL)
    tags = re.findall(r"<[^>]*>", outside)
    assert set(tags) <= {"<details>", "</details>", "<summary>", "</summary>"}
    for table in re.findall(r"(?:^\|.*\n)+", outside, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table
    assert "\x1b" not in said
    assert "(a%20b.png)" in said


def test_code_that_holds_a_fence_stays_inside_its_own() -> None:
    """A cell with Markdown in a text does not end the block early."""
    said = report_markdown(report("```\n# no heading of ours"), {}, [])
    assert "````diff" in said


def test_plots_are_those_of_the_notebook_under_their_headings(tmp_path: Path) -> None:
    """Each PNG with the nearest heading above it; what is no picture, or broken, is passed over."""
    data = base64.encodebytes(PNG).decode()
    output = [{"output_type": "display_data", "data": {"image/png": data}}]
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["## Draw the curve\n", "It falls."]},
        {"cell_type": "code", "metadata": {}, "source": "plot()", "outputs": output},
        {"cell_type": "code", "metadata": {}, "source": "1", "outputs": [{"output_type": "stream", "text": "1"}]},
        {"cell_type": "code", "metadata": {}, "source": "2", "outputs": [{"data": {"image/png": "no base64!"}}]},
    ]
    path = tmp_path / "train.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    assert plots(path)[0] == ("Draw the curve", PNG)
    path.write_text("{")
    assert plots(path) == []
