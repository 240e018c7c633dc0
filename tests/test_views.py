"""Views: what a terminal, a notebook and a program get."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest

from pipelines.errors import NoSuchVersion
from pipelines.stages.prune import Pruned
from pipelines.stages.ship import Shipped, Step
from pipelines.values import (
    Alias,
    Check,
    GateReport,
    ModelVersion,
    PackageRecord,
    Parity,
    Provenance,
    Revision,
    Verdict,
    VersionRef,
)
from pipelines.views import (
    ErrorView,
    PackageView,
    PruneView,
    ReportView,
    ShipView,
    TrainView,
    VersionsView,
    VersionView,
    View,
)
from pipelines.views.blocks import Scale, Tone
from pipelines.views.drawing import WIDTH, scale_svg

NASTY = "<script>alert('x')</script>&\"[bold]:smile:"


def report(number: int, verdict: Verdict) -> GateReport:
    """A report with a check of every kind, the last one with that verdict."""
    interval = {"interval": [-0.028, 0.022], "margin": 0.01, "rows": 500}
    return GateReport(
        VersionRef("digits", number),
        (
            Check("finite_outputs", Verdict.PASS, 1.0, "all finite", {"rows": 500}),
            Check("accuracy", Verdict.PASS, 0.951234, ">= 0.9", {"min": 0.9, "max": None}),
            Check("lost", Verdict.PASS, None, "<= 1", note="no champion yet"),
            Check("accuracy_vs_champion", verdict, -0.004, "> -0.01 (95 %)", interval, "500 rows do not decide"),
        ),
        VersionRef("digits", 2),
    )


def package(verdict: Verdict = Verdict.PASS, forced: str = "") -> PackageRecord:
    """A bento with a proof and a check of its own."""
    checks = GateReport(
        VersionRef("digits", 3), (Check("serving.memory_mb", verdict, 181.25, "<= 300", {"min": None, "max": 300}),)
    )
    return PackageRecord(
        "digits:3", "bentos/3", "onnx", "ab" * 32, "", Parity(360, 1.2e-6, 0.9975, 1e-4), checks, forced
    )


def version(number: int = 3, verdict: Verdict | None = Verdict.PASS, *aliases: Alias, **more: Any) -> ModelVersion:
    """A version with everything a registry knows."""
    facts: dict[str, Any] = {
        "parameters": {"epochs": 2, "learning_rate": 0.001, "flag": True, "name": "x"},
        "metrics": {"accuracy": 0.951234567, "log_loss": 0.321, "train_loss": 0.1},
        "provenance": Provenance("a" * 64, "b" * 64, "c" * 64, Revision("git", "d" * 40, dirty=True)),
        "report": report(number, verdict) if verdict else None,
    }
    return ModelVersion(
        VersionRef("digits", number),
        "0f" * 16,
        "models:/m",
        datetime(2026, 2, 3, 14, 5, 6, tzinfo=UTC),
        verdict=verdict,
        aliases=frozenset(aliases),
        **{**facts, **more},
    )


def shipped(*outcomes: Literal["done", "reused", "failed"]) -> ShipView:
    """A shipment with those outcomes."""
    stages: tuple[Literal["train", "validate", "package"], ...] = ("train", "validate", "package")
    steps = [Step(stage, outcome, f"because {outcome}") for stage, outcome in zip(stages, outcomes, strict=False)]
    return ShipView(Shipped(version(3, Verdict.PASS, Alias.LATEST, package=package()), tuple(steps)))


def views() -> dict[str, View]:
    """One of each, with texts that would harm a page or a terminal if they were not taken literally."""
    three = version(3, Verdict.INCONCLUSIVE, Alias.LATEST)
    nasty = version(1, Verdict.FAIL, parameters={"name": NASTY}, metrics={NASTY: float("nan")})
    two = version(2, Verdict.PASS, Alias.CHAMPION, Alias.LATEST, package=package())
    return {
        "version": VersionView(nasty),
        "versions": VersionsView("digits", [three, two, nasty]),
        "no versions": VersionsView("digits", []),
        "train": TrainView(three, 12.34, Path(f"/runs/{NASTY}.ipynb")),
        "report": ReportView(three, report(3, Verdict.INCONCLUSIVE)),
        "no gates": ReportView(three, GateReport(three.ref, ())),
        "package": PackageView(two, package()),
        "native": PackageView(two, dataclasses.replace(package(), flavour="keras", parity=None, reason=NASTY)),
        "ship": shipped("reused", "done", "done"),
        "prune": PruneView(Pruned((nasty, three), 1_234_567, is_dry=False)),
        "nothing to prune": PruneView(Pruned(())),
        "error": ErrorView(NoSuchVersion(NASTY, instead="there are 1 and 2")),
    }


ALL = pytest.mark.parametrize("name", list(views()))


class Page(HTMLParser):
    """Checks that every tag is closed in order, and collects the text and the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.open.append(tag)
        self.tags.add(tag)
        assert not [value for name, value in attrs if name in ("src", "href") or name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """It is closed already."""
        self.tags.add(tag)
        assert not [value for name, value in attrs if name in ("src", "href") or name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        """It closes the last one."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the words."""
        self.words.append(data)


def page(view: View) -> Page:
    """The parsed HTML of a view."""
    read = Page()
    read.feed(view.html())
    read.close()
    assert read.open == []
    return read


@ALL
@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_keeps_to_the_width(name: str, width: int) -> None:
    """No line is longer than the terminal, none has trailing spaces, and none has a colour."""
    text = views()[name].text(width)
    assert text.strip()
    assert max(len(line) for line in text.splitlines()) <= width
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert "\x1b" not in text


@ALL
def test_html_stands_alone_and_takes_every_text_literally(name: str) -> None:
    """Well-formed, without script or address, light and dark, and what was logged cannot become markup."""
    view = views()[name]
    read = page(view)
    assert not read.tags & {"script", "link", "img", "iframe", "object"}
    assert "http" not in view.html()
    assert "prefers-color-scheme:dark" in view.html()


@ALL
def test_json_is_json(name: str) -> None:
    """Every value is plain, and numbers that are not finite are null."""
    told = json.loads(json.dumps(views()[name].json(), allow_nan=False))
    assert told


@ALL
def test_the_nasty_text_arrives_in_full(name: str) -> None:
    """Where the text occurs, the page shows it as it was written, and the terminal too."""
    view = views()[name]
    if NASTY in json.dumps(view.json(), ensure_ascii=False).replace('\\"', '"'):
        flat = "".join("".join(page(view).words).split())
        shown = "".join(view.text(400).split())
        is_table = name in ("versions", "prune")
        assert is_table or "".join(NASTY.split()) in flat
        assert is_table or "".join(NASTY.split()) in shown


def test_three_versions_read_well_in_80_columns() -> None:
    """The table as a whole: one line a version, the newest first, numbers to the right."""
    assert views()["versions"].text(80).splitlines() == [
        "version   verdict       marks             accuracy  created (UTC)",
        "digits@3  INCONCLUSIVE  latest              0.9512  2026-02-03 14:05",
        "digits@2  PASS          champion, latest    0.9512  2026-02-03 14:05",
        "digits@1  FAIL                              0.9512  2026-02-03 14:05",
    ]


def test_a_report_reads_well_in_80_columns() -> None:
    """The table of checks with its notes below and what comes next."""
    assert views()["report"].text(80).splitlines() == [
        "digits@3  INCONCLUSIVE  compared with digits@2",
        "",
        "check                 verdict                       observed  required",
        "finite_outputs        PASS                                 1  all finite",
        "accuracy              PASS                            0.9512  >= 0.9",
        "┄┄┄┄┄┄┄┄┄┃────●─────",
        "lost                  PASS                                 -  <= 1",
        "accuracy_vs_champion  INCONCLUSIVE  -0.004 (-0.028 to 0.022)  > -0.01 (95 %)",
        "┄━━━━━━┃━●━━━━━━━━━─",
        "",
        "lost: no champion yet",
        "accuracy_vs_champion: 500 rows do not decide",
        "",
        "Evidence of what did not pass",
        "accuracy_vs_champion  rows=500",
        "",
        "It is not packaged: the evidence does not decide.",
    ]


def test_a_note_of_several_checks_is_said_once() -> None:
    """Three comparisons without a champion do not fill the screen."""
    checks = tuple(Check(name, Verdict.PASS, None, "> 0", note="no champion yet") for name in ("a", "b"))
    assert "a, b: no champion yet" in ReportView(version(), GateReport(version().ref, checks)).text()


def test_a_person_at_a_terminal_may_have_colours() -> None:
    """Only on request: a failure is red, a pass green."""
    text = ReportView(version(), report(3, Verdict.FAIL)).text(80, color=True)
    assert "\x1b[31mFAIL" in text
    assert "\x1b[32mPASS" in text


def test_a_version_prints_as_its_ref() -> None:
    """`str` of a version is what one types next, in every view of one version."""
    one = version()
    assert {
        str(view)
        for view in (
            VersionView(one),
            TrainView(one, 1.0, Path("n")),
            ReportView(one, report(3, Verdict.PASS)),
            PackageView(one, package()),
            shipped("done"),
        )
    } == {"digits@3"}


@pytest.mark.parametrize(
    ("view", "ok"),
    [
        (VersionView(version()), True),
        (TrainView(version(verdict=None), 1.0, Path("n")), True),
        (VersionsView("digits", []), True),
        (ReportView(version(), report(3, Verdict.PASS)), True),
        (ReportView(version(), report(3, Verdict.FAIL)), False),
        (ReportView(version(), report(3, Verdict.INCONCLUSIVE)), False),
        (PackageView(version(), package()), True),
        (PackageView(version(), package(Verdict.FAIL)), False),
        (PackageView(version(), package(Verdict.FAIL, forced="for a demonstration")), True),
        (shipped("reused", "done", "done"), True),
        (shipped("done", "failed"), False),
        (PruneView(Pruned(())), True),
        (ErrorView(NoSuchVersion("no")), False),
    ],
)
def test_what_did_not_succeed_is_not_ok(view: View, ok: bool) -> None:
    """The exit code follows from it: a gate that did not pass is no success, unless somebody forced it on record."""
    assert view.ok is ok


def test_the_json_of_each_view_has_what_programs_rely_on() -> None:
    """The keys that the documentation promises, with their values."""
    told = {name: view.json() for name, view in views().items()}
    common = {"version", "ref", "run_id", "verdict", "metrics", "parameters"}
    for name in ("version", "train", "report", "package", "ship"):
        assert common <= set(told[name]), name
    assert told["versions"]["model"] == "digits"
    assert [found["ref"] for found in told["versions"]["versions"]] == ["digits@3", "digits@2", "digits@1"]
    assert (told["train"]["seconds"], told["train"]["version"]) == (12.34, 3)
    check = told["report"]["checks"][1]
    assert {key: check[key] for key in ("name", "verdict", "observed", "required")} == {
        "name": "accuracy",
        "verdict": "PASS",
        "observed": 0.951234,
        "required": ">= 0.9",
    }
    assert (told["report"]["verdict"], told["report"]["champion"]) == ("INCONCLUSIVE", "digits@2")
    bento = told["package"]
    assert (bento["bento"], bento["flavour"], bento["digest"], bento["reason"]) == ("digits:3", "onnx", "ab" * 32, "")
    assert bento["parity"] == {"rows": 360, "max_abs_diff": 1.2e-6, "agreement": 0.9975, "tolerance": 1e-4}
    assert [found["name"] for found in bento["checks"]] == ["serving.memory_mb"]
    assert [step["outcome"] for step in told["ship"]["steps"]] == ["reused", "done", "done"]
    assert told["prune"] == {"removed": ["digits@1", "digits@3"], "freed": 1_234_567, "dry_run": False}
    assert told["error"]["error"]["type"] == "NoSuchVersion"
    assert told["version"]["metrics"] == {NASTY: None}


def test_a_reports_own_verdict_counts() -> None:
    """A report that is newer than what the version remembers is the one that is told."""
    assert ReportView(version(verdict=Verdict.PASS), report(3, Verdict.FAIL)).json()["verdict"] == "FAIL"


def test_a_shipment_holds_the_other_views() -> None:
    """Its gates and its bento are shown below the stages, and can be taken from it."""
    view = shipped("reused", "done", "done")
    assert isinstance(view.report, ReportView)
    assert isinstance(view.package, PackageView)
    text = view.text(80)
    assert text.index("because reused") < text.index("accuracy_vs_champion") < text.index("digits:3")
    stopped = shipped("done", "failed").text(80)
    assert "digits:3" not in stopped


def test_a_deployed_shipment_names_no_next_step() -> None:
    """`ship --canary` ends with what runs; only a shipment that was not deployed says how to do that."""
    view = shipped("done", "done", "done")
    entry = {"phase": "canary", "url": "http://127.0.0.1:3000/digits", "versions": {}}
    deployed = ShipView(dataclasses.replace(view.shipped, deployment=entry)).text(100)
    assert "Next: `turnout deploy digits@3`" in view.text(100)
    assert "Next:" not in deployed
    assert "digits:3" in deployed
    assert "http://127.0.0.1:3000/digits" in deployed


def test_a_prune_says_what_it_would_do() -> None:
    """A dry run promises and frees nothing."""
    assert "1 version would be removed" in PruneView(Pruned((version(),))).text()
    assert "2 versions removed  1.23 MB freed" in views()["prune"].text()


def test_a_native_bento_says_why() -> None:
    """The reason for carrying a framework stands in text and JSON."""
    view = PackageView(version(), dataclasses.replace(package(), flavour="keras", parity=None, reason="no exporter"))
    assert "no exporter" in view.text()
    assert (view.json()["reason"], view.json()["parity"]) == ("no exporter", None)


@pytest.mark.parametrize(
    "scale",
    [
        Scale(0.95, 0.9),
        Scale(0.95, 0.9, 0.99),
        Scale(0.0, None, 0.0),
        Scale(-0.004, -0.01, None, (-0.028, 0.022)),
        Scale(1e300, -1e300, 1e300),
    ],
)
def test_a_drawing_stays_within_its_frame(scale: Scale) -> None:
    """Every mark of the bar lies in the picture, whatever the numbers are."""
    drawn = scale_svg(scale, Tone.GOOD)
    positions = [float(x) for x in re.findall(r' (?:x|x1|x2|cx)="([^"]*)"', drawn)]
    assert len(positions) >= 4
    assert all(0 <= position <= WIDTH for position in positions)


def test_views_load_nothing_heavy() -> None:
    """A command that shows a view pays neither for NumPy nor for rich before it prints."""
    program = (
        "import sys, pipelines.views; print([m for m in ('numpy', 'rich', 'pandas', 'mlflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
