"""An example of each view, for the tests of all of them and for the pictures in docs/views.md."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.errors import NoSuchVersion
from pipelines.policy.comparing import Pair, disagreement
from pipelines.policy.differences import Change, Compared, compare, compare_cells
from pipelines.stages.compare import Comparison
from pipelines.stages.diff import Difference
from pipelines.stages.labels import Labelled
from pipelines.stages.logs import Summary
from pipelines.stages.monitor import Seen
from pipelines.stages.prune import Pruned
from pipelines.stages.service_code import Kept
from pipelines.stages.ship import Explained, Shipped, Step
from pipelines.stages.ship_all import OfMany, ShippedAll
from pipelines.stages.sweep import Swept
from pipelines.stages.verify import Verified
from pipelines.values import (
    PREPROCESS,
    Alias,
    Check,
    GateReport,
    ModelVersion,
    PackageRecord,
    Parity,
    Provenance,
    Revision,
    ServiceFunction,
    Trial,
    Verdict,
    VersionRef,
)
from pipelines.values.drift import DriftWindow
from pipelines.values.drift import Finding as DriftFinding
from pipelines.values.health import Finding, Health
from pipelines.values.labels import LabelSummary, Quality, Taken
from pipelines.values.logs import LogRecord, Template
from pipelines.values.monitoring import Server
from pipelines.values.signature import Field, Layout, Signature
from pipelines.values.starting import Begun, Outcome, Sheet
from pipelines.values.stock import Stock
from pipelines.values.sweeps import RunStatus, Sweep, SweepRun
from pipelines.values.testing import Ended, ModelTested, OneTest
from pipelines.values.watching import Event, Kind
from pipelines.views import (
    AlertsTestView,
    AlertsView,
    CacheView,
    ChecksView,
    CompareView,
    DeploymentView,
    DiffView,
    DoctorView,
    DownView,
    DriftView,
    ErrorView,
    ExplainView,
    HistoryView,
    InitView,
    LabelsView,
    LogSummaryView,
    LogsView,
    MonitoringView,
    MonitorView,
    NotebookTestsView,
    PackageView,
    PlanView,
    PruneView,
    ReportView,
    RolloutView,
    ServiceCodeView,
    ShipAllView,
    ShipView,
    StatusView,
    SweepBoard,
    SweepView,
    TrainView,
    UpView,
    VerifyView,
    VersionsView,
    VersionView,
    View,
    WatchEventView,
    WatchView,
)
from tests.fakes import running

NOON = datetime(2026, 2, 3, 12, 0, 0, tzinfo=UTC)

PAIRS = {"digits@2": "digits@1"}


def examples(word: str) -> dict[type[View], View]:
    """One of each, with `word` wherever a text comes from outside."""
    first, second, third = versions(word)[::-1]
    plan = PlanView("digits", ["start 1 host of digits@3", f"route 10 % to digits@3: {word}", "record it"])
    assert third.report
    assert second.package
    steps = (
        Step("train", "reused", f"nothing has changed: {word}"),
        Step("validate", "done", "2 of 5 gates"),
        Step("package", "done", word),
    )
    code = ServiceFunction.of(PREPROCESS, "digits", f"def preprocess(inputs):\n    return inputs / 2  # {word}\n")
    old = ServiceFunction.of(PREPROCESS, "digits", "def preprocess(inputs):\n    return inputs / 3\n")
    sides = Signature(Layout.TENSOR, (Field("inputs", "float32"),), (Field("outputs", "float32"),))
    kept = Kept(
        "digits",
        PREPROCESS,
        Path("notebooks/digits/preprocess.py"),
        old,
        code,
        False,
        Trial(10, sides),
        first.ref,
        True,
    )
    shown: list[View] = [
        VersionView(third),
        VersionsView("digits", [third, second, first], {"digits@2": running(90)}, NOON + timedelta(hours=3)),
        TrainView(third, 12.34, Path(f"/project/.turnout/runs/digits/{word}.ipynb")),
        ReportView(third, third.report),
        ChecksView(third.report),
        PackageView(second, second.package),
        ShipView(Shipped(replace(second, aliases=frozenset({Alias.LATEST})), steps)),
        PruneView(Pruned((first, second), 1_234_567, is_dry=False)),
        ErrorView(NoSuchVersion(f"digits has no version 9: {word}", instead="there are 1, 2 and 3")),
        DeploymentView("digits", entry(word), f"10 % of the traffic goes to digits@3: {word}"),
        RolloutView("digits", entry(word), f"digits@3 was rolled back: {word}", "digits@3", "rolled back", word),
        StatusView({"models": {"digits": entry(word)}}),
        plan,
        UpView({"digits": [f"start {word}", "route digits: digits@2 100 %"]}),
        DownView(["digits", word]),
        LogsView(
            [LogRecord("gateway", "started"), LogRecord("digits@2", word, "WARNING", NOON, "turnout.serving", "12")]
        ),
        LogSummaryView(Summary([Template(word, "ERROR", 3, NOON, NOON, {"digits@2": 3}, is_new=True)], 3, PAIRS)),
        HistoryView("digits", history(word)),
        MonitorView(Seen("digits", NOON, {**entry(word), "rollout": rollout(word)}, figures(word))),
        DiffView(difference(second, replace(third, package=second.package), word)),
        ServiceCodeView(kept),
        InitView(
            Begun(
                f"/home/{word}",
                word,
                (Sheet(f"notebooks/{word}", "", "", Outcome.KEPT),),
                (word,),
                (f"cd {word}",),
                ((word, word),),
            ),
            "/home",
        ),
        DoctorView([Finding("disk", Health.WARNING, word, f"`turnout prune` frees some: {word}")]),
        ShipAllView(
            ShippedAll(
                (
                    OfMany("digits", RunStatus.DONE, "", {"ref": "digits@3", "steps": []}, 12.3),
                    OfMany("credit", RunStatus.FAILED, word),
                    OfMany("rent", RunStatus.RUNNING, word),
                )
            )
        ),
        NotebookTestsView(
            [
                ModelTested(
                    "digits",
                    (
                        OneTest("notebooks/train.ipynb", "cell 1 (Load)", Ended.PASSED, "", 1.5),
                        OneTest("notebooks/train.ipynb", "cell 2 (Train)", Ended.FAILED, word, 0.5),
                        OneTest("notebooks/train.ipynb", "cell 3 (Log)", Ended.SKIPPED, "an earlier cell raised"),
                    ),
                    Path("/project/.turnout/tests/digits/report.html"),
                )
            ]
        ),
        SweepBoard(swept(word)),
        WatchEventView(Event(NOON, Kind.BEGUN, f"digits is shipped: {word}", "digits")),
        WatchView([Event(NOON, Kind.FAILED, word, "digits"), Event(NOON, Kind.TROUBLE, word)], False),
        SweepView(Swept(swept(word), third)),
        CacheView([Stock("digests", 1_234_567, 3, word, "turnout cache --prune")], 2_000),
        VerifyView(Verified(second, third, Compared((Change(word, 0.25, 0.250001),), 3), is_same=True)),
        ExplainView(Explained("digits", None, (*steps, Step("package", "due", word, (word,))))),
        AlertsView(alerts(word)),
        MonitoringView(
            13000,
            [
                Server("alertmanager", "prometheus-alertmanager", None, 13002, None, is_ready=False),
                Server("prometheus", "prometheus", "/usr/bin/prometheus", 13001, 4711, is_ready=True),
            ],
            word,
        ),
        AlertsTestView(
            [
                {"target": "1 (slack)", "error": None, "seconds": 0.4},
                {"target": "2 (mailto)", "error": word, "seconds": 20.0},
            ]
        ),
    ]
    shown += [compared(word), labelled(word), drifted(word)]
    return {type(view): view for view in shown}


def compared(word: str) -> CompareView:
    """Two versions that disagree in one row of four."""
    rows = [(f"r{number}", {"age": 30 + number, "job": word}, "good") for number in range(4)]
    pairs = [Pair(name, 0, inputs, said, "bad" if name == "r2" else said) for name, inputs, said in rows]
    return CompareView(Comparison(VersionRef("digits", 2), VersionRef("digits", 3), disagreement(pairs), 4, 1))


def drifted(word: str) -> DriftView:
    """Two windows of one version, one feature of which has drifted, and a version without a reference."""
    findings = (
        DriftFinding(word, 500, 0.341, 0.112, 2e-9, 0.48, is_drift=True),
        DriftFinding("(prediction)", 500, 0.021, 0.112, 1.0, None, is_drift=False),
    )
    windows = [DriftWindow(500, NOON, NOON + timedelta(minutes=minute), findings).as_dict() for minute in (2, 1)]
    watched = {"state": "drifting", "says": word, "drifting": [word], "rows": 12, "windows_tested": 2}
    bare = {**watched, "state": "no reference", "says": f"no reference: {word}", "drifting": [], "windows": []}
    return DriftView(
        {
            "model": "digits",
            "settings": {"is_on": True, "window_rows": 500, "alpha": 0.01, "min_psi": 0.1},
            "versions": {
                "digits@3": {**watched, "reference_rows": 360, "left_out": [word], "windows": windows},
                "digits@2": {**bare, "reference_rows": 0, "left_out": []},
            },
        }
    )


def labelled(word: str) -> LabelsView:
    """The quality of two versions, and labels that do not fit."""
    versions = {
        "digits@2": (Quality("accuracy", 0.9312, 0.9, 0.95, 480, 481, 33),),
        "digits@3": (Quality("accuracy", 0.0, 0.0, 0.13, 25, 25, 25), Quality("mean_error", 0.5, None, None, 3, 3)),
    }
    taken = Taken(480, 2, 3900, 1, 5, 1, (f"b3f1: {word}",))
    return LabelsView(Labelled("digits", LabelSummary(versions, taken, 0.1), taken))


def versions(word: str) -> list[ModelVersion]:
    """Three versions, the newest first: undecided, champion, failed."""
    made = []
    facts = ((1, Verdict.FAIL, ()), (2, Verdict.PASS, (Alias.CHAMPION,)), (3, Verdict.INCONCLUSIVE, (Alias.LATEST,)))
    for number, verdict, aliases in facts:
        ref = VersionRef("digits", number)
        made.append(
            ModelVersion(
                ref,
                f"{number}f" * 16,
                f"models:/m-{number}",
                NOON + timedelta(minutes=40 * number),
                {"epochs": 4 * number, "learning_rate": 0.001, "augment": True, "name": f"{word}{number}"},
                {"accuracy": 0.93 + 0.01 * number, "log_loss": 0.31 - 0.02 * number, "loss": 0.1, f"odd {word}": 1.5},
                verdict=verdict,
                aliases=frozenset(aliases),
                provenance=Provenance(f"{number}a" * 32, "b" * 64, "c" * 64, Revision("git", f"{number}d" * 20)),
                report=report(ref, verdict, word),
                package=package(ref, word) if verdict is Verdict.PASS else None,
            )
        )
    return made[::-1]


def report(ref: VersionRef, verdict: Verdict, word: str) -> GateReport:
    """Gates of every kind, the comparison with that verdict."""
    middle = {Verdict.PASS: 0.004, Verdict.FAIL: -0.03, Verdict.INCONCLUSIVE: -0.004}[verdict]
    evidence = {
        "candidate": 0.96 + middle,
        "champion": 0.96,
        "interval": [middle - 0.012, middle + 0.012],
        "margin": 0.01,
        "rows": 500,
        "mcnemar_p": 0.31,
        "method": f"paired bootstrap {word}",
    }
    note = "" if verdict is Verdict.PASS else f"500 rows, about 2,100 are needed: {word}"
    checks = (
        Check("finite_outputs", Verdict.PASS, 1.0, "all finite", {"rows": 500}),
        Check("accuracy", Verdict.PASS, 0.9512, ">= 0.9", {"min": 0.9, "max": None}),
        Check("log_loss", Verdict.PASS, 0.248, "<= 0.25", {"min": None, "max": 0.25}),
        Check("mean_prediction", Verdict.PASS, 0.44, "0.02 to 0.9", {"min": 0.02, "max": 0.9}),
        Check("accuracy_vs_champion", verdict, middle, "> -0.01 (95 %)", evidence, note),
    )
    return GateReport(ref, checks, VersionRef("digits", 2) if ref.number != 2 else VersionRef("digits", 1))


def package(ref: VersionRef, word: str) -> PackageRecord:
    """A bento with its proof and its own gates."""
    own = (
        Check("serving.latency_p95_ms", Verdict.PASS, 1.42, "<= 5", {"min": None, "max": 5.0, "requests": 200}),
        Check("serving.memory_mb", Verdict.PASS, 181.25, "<= 300", {"min": None, "max": 300.0}),
    )
    return PackageRecord(
        f"digits:{ref.number}",
        f"bentos/{ref.number}",
        "onnx",
        "ab" * 32,
        "",
        Parity(360, 1.2e-6, 0.9975, 1e-4),
        GateReport(ref, own),
        forced=word,
    )


def entry(word: str) -> dict[str, Any]:
    """A model in the status, with a canary under way."""
    return {
        "url": "http://127.0.0.1:3000/digits",
        "phase": "canary",
        "champion": "digits@2",
        "candidate": "digits@3",
        "versions": {
            "digits@1": running(0, "standby", requests=0),
            "digits@2": running(90, requests=1804),
            "digits@3": running(10, "canary", requests=203, failures=2, restarts=1),
        },
        "operation": {"verb": f"deploy {word}", "step": 3, "steps": 6},
        "bake_until": "2026-02-03T12:10:00+00:00",
        "quarantined": {"digits@1": f"too many failures {word}"},
        "generation": 4,
    }


def rollout(word: str) -> dict[str, Any]:
    """What the judge of a rollout says."""
    return {
        "phase": f"step 2 of 4: 10 % {word}",
        "verdict": "INCONCLUSIVE",
        "evidence": {"requests": 203, "failures": 2, "harm": 1.8},
        "needed": f"about 240 more requests, 12 min at the present rate {word}",
    }


def figures(word: str) -> dict[str, Any]:
    """The live figures of that model: the canary began two minutes ago."""

    def version(rate: float, failing: float, slow: float, since: int) -> dict[str, Any]:
        waves = [1 + 0.3 * ((number * 7) % 11 - 5) / 5 for number in range(60)]
        return {
            "requests": round(rate * 100),
            "failures": round(failing * 100),
            "requests_per_second": rate,
            "failures_per_second": failing,
            "failed_share": failing / rate if rate else None,
            "p50_ms": slow if rate else None,
            "p95_ms": slow * 2.1 if rate else None,
            "p99_ms": slow * 3.4 if rate else None,
            "history": {
                "requests_per_second": [None if number < since else rate * wave for number, wave in enumerate(waves)],
                "failures_per_second": [None if number < since else failing for number in range(60)],
                "p95_ms": [None if number < since or not rate else slow * wave for number, wave in enumerate(waves)],
            },
        }

    return {
        "model": "digits",
        "rate_seconds": 10.0,
        "share_seconds": 60.0,
        "step_seconds": 5.0,
        "versions": {
            "digits@1": version(0, 0, 0, 0),
            "digits@2": version(36.4, 0, 0.21, 0),
            "digits@3": version(4.1, 0.06, 0.34, 36),
        },
        "events": history(word),
    }


def swept(word: str) -> Sweep:
    """A run in each state."""
    runs = (
        SweepRun(1, {"epochs": "4", "name": word}, RunStatus.DONE, "digits@2", 0.95, 12.3, 812.0),
        SweepRun(2, {"epochs": "8", "name": word}, RunStatus.REUSED, "digits@3", 0.96),
        SweepRun(3, {"epochs": "16"}, RunStatus.FAILED, says=f"NotebookRaised: {word}"),
        SweepRun(4, {"epochs": "32"}, RunStatus.RUNNING, says=f"cell 2 of 7: {word}"),
        SweepRun(5, {"epochs": "64"}),
    )
    return Sweep("digits", "accuracy", "higher", runs)


def alerts(word: str) -> dict[str, Any]:
    """One that arrived and one that did not, yet."""
    sent = {"target": "1 (slack)", "state": "sent", "attempts": 0, "error": ""}
    waits = {"target": "2 (mailto)", "state": "waiting", "attempts": 2, "error": word}
    one = {"id": "event-1", "event": "rollback", "model": "digits", "version": "digits@3", "text": word}
    return {
        "targets": ["1 (slack)", "2 (mailto)"],
        "waiting": 1,
        "alerts": [{**one, "title": f"digits@3: {word}", "at": NOON.isoformat(), "targets": [sent, waits]}],
    }


def history(word: str) -> list[dict[str, Any]]:
    """Some days of a model, the latest first."""

    def event(at: str, action: str, source: str, target: str, reason: str, seconds: float) -> dict[str, Any]:
        evidence = {"operation": "0f", "seconds": seconds}
        versions = {"from": source or None, "to": target or None}
        return {"at": at, "model": "digits", "actor": f"anna {word}", "action": action, **versions} | {
            "reason": reason,
            "evidence": evidence,
        }

    return [
        event("2026-02-03T14:05:06+00:00", "rollback", "digits@3", "digits@2", f"too many failures {word}", 0.21),
        event("2026-02-03T14:01:40+00:00", "deploy", "digits@2", "digits@3", "10 % of the traffic", 2.6),
        event(
            "2026-02-03T13:59:02+00:00", "deploy failed", "digits@2", "digits@3", "it answered 500 in the warm-up", 4
        ),
        event("2026-02-02T09:30:00+00:00", "promote", "digits@1", "digits@2", "", 0.4),
        event("2026-02-02T09:12:00+00:00", "deploy", "", "digits@1", "", 3.2),
    ]


def difference(left: ModelVersion, right: ModelVersion, word: str) -> Difference:
    """Two versions that differ in everything."""
    before = ["import numpy as np", "epochs = 8\nlearning_rate = 0.001\nseed = 1\nname = 'a'", "train()\nsave()"]
    now = ["import numpy as np", f"epochs = 8\nlearning_rate = 0.002\nseed = 1\nname = '{word}'", "train()\nsave()"]
    cells = compare_cells(before, [*now, "plot()"])
    assert left.report
    assert right.report
    return Difference(
        left,
        right,
        compare(left.parameters, right.parameters),
        Compared(
            tuple(
                replace(change, interval=(-0.016, 0.036)) if change.name == "accuracy" else change
                for change in compare(left.metrics, right.metrics, {"log_loss": "lower", "accuracy": "higher"}).changes
            ),
            1,
        ),
        compare(
            {check.name: check.verdict.value for check in left.report.checks},
            {check.name: check.verdict.value for check in right.report.checks},
        ),
        compare(
            {"code": "git 2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d", "notebook": "2a" * 32, "data": "b" * 64},
            {"code": "git 3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d, with changes", "notebook": "3a" * 32, "data": "b" * 64},
        ),
        compare(
            {"flavour": "onnx", "size": 812_345, "latency_p95_ms": 1.42},
            {"flavour": "onnx", "size": 1_204_001, "latency_p95_ms": 1.31},
            {"size": "lower", "latency_p95_ms": "lower"},
        ),
        compare({"numpy": "==2.3.0", "keras": "==3.13.2"}, {"numpy": "==2.4.0", "keras": "==3.13.2"}),
        cells,
        2,
    )
