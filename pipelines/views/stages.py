"""What came out of a stage, for one version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.values import Alias, GateReport, ModelVersion, PackageRecord, Verdict, VersionRef
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Facts, Grid, Heading, Line, Tone, verdict_cell
from pipelines.views.parts import (
    alias_text,
    bento_text,
    checks_blocks,
    heading,
    package_facts,
    provenance_facts,
    values_text,
)
from pipelines.views.running import model_blocks

if TYPE_CHECKING:
    from pipelines.stages.ship import Shipped

_OUTCOMES = {"done": Tone.GOOD, "reused": Tone.PLAIN, "failed": Tone.BAD}


@dataclass(frozen=True)
class VersionView(View):
    """One version; its `str` is its REF, so that it can be typed on."""

    version: ModelVersion

    @property
    def ref(self) -> VersionRef:
        """The version's name."""
        return self.version.ref

    def blocks(self) -> Sequence[Block]:
        """The card of the version."""
        return [heading(self.version), Facts(self.facts())]

    def facts(self) -> list[tuple[str, str]]:
        """What is known of the version."""
        version = self.version
        facts = [
            ("created", f"{version.created:%Y-%m-%d %H:%M:%S} UTC"),
            ("run", version.run_id),
            ("parameters", values_text(version.parameters)),
            ("metrics", values_text(version.metrics)),
            *provenance_facts(version.provenance),
        ]
        package = version.package
        return [*facts, ("bento", f"{package.bento} ({bento_text(package)})")] if package else facts

    def document(self) -> Mapping[str, Any]:
        """As `ModelVersion.as_dict`."""
        return self.version.as_dict()

    def __str__(self) -> str:
        return str(self.version.ref)


@dataclass(frozen=True)
class TrainView(VersionView):
    """A new version.

    Args:
        version: It.
        seconds: How long its notebook ran.
        notebook: The executed notebook.
    """

    seconds: float
    notebook: Path

    def blocks(self) -> Sequence[Block]:
        """The card, and what comes next."""
        return [
            Heading(f"{self.ref} trained in {self.seconds:.1f} s", beside=alias_text(self.version.aliases)),
            Facts([*self.facts(), ("executed", str(self.notebook))]),
            Line(f"Next: `turnout validate {self.ref}` judges it."),
        ]

    def document(self) -> Mapping[str, Any]:
        """The version with `seconds` and `notebook`."""
        return {**self.version.as_dict(), "seconds": self.seconds, "notebook": str(self.notebook)}


@dataclass(frozen=True)
class ReportView(VersionView):
    """A judged version; it succeeded when every check passed."""

    report: GateReport

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return self.report.verdict is Verdict.PASS

    def blocks(self) -> Sequence[Block]:
        """The table of checks, and what comes next."""
        blocks = ChecksView(self.report).blocks()
        next_step = {
            Verdict.PASS: f"Next: `turnout package {self.ref}` makes a bento of it.",
            Verdict.FAIL: "It is not packaged: a gate failed.",
            Verdict.INCONCLUSIVE: "It is not packaged: the evidence does not decide.",
        }
        return [*blocks, Line(next_step[self.report.verdict])]

    def document(self) -> Mapping[str, Any]:
        """The version with the report's `verdict`, `champion` and `checks`."""
        return {**self.version.as_dict(), **self.report.as_dict()}


@dataclass(frozen=True)
class ChecksView(View):
    """A gate report by itself."""

    report: GateReport

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return self.report.verdict is Verdict.PASS

    def blocks(self) -> Sequence[Block]:
        """The table of checks."""
        rival = f"compared with {self.report.champion}" if self.report.champion else ""
        head = Heading(str(self.report.ref), verdict_cell(self.report.verdict), rival)
        return [head, *checks_blocks(self.report.checks)]

    def document(self) -> Mapping[str, Any]:
        """The report."""
        return self.report.as_dict()


@dataclass(frozen=True)
class PackageView(VersionView):
    """A packaged version; it succeeded when the bento's own gates passed, or somebody forced it."""

    package: PackageRecord

    @property
    def ok(self) -> bool:
        """Whether the bento may be served."""
        checks = self.package.checks
        return checks is None or checks.verdict is Verdict.PASS or bool(self.package.forced)

    def blocks(self) -> Sequence[Block]:
        """The bento, its proof and its own checks."""
        checks = self.package.checks
        judged = checks_blocks(checks.checks) if checks and checks.checks else []
        champion = Alias.CHAMPION in self.version.aliases
        after = f"Next: `turnout deploy {self.ref}` puts it behind the gateway" + (
            "." if champion else f", `turnout promote {self.ref}` makes it the champion by hand."
        )
        said = after if self.ok else "Its bento is not promoted: a gate on it did not pass."
        return [heading(self.version, " packaged"), Facts(package_facts(self.package)), *judged, Line(said)]

    def document(self) -> Mapping[str, Any]:
        """The version and its bento in one flat object, the bento's `checks` as a list."""
        version = {name: value for name, value in self.version.as_dict().items() if name != "package"}
        checks = self.package.checks
        judged = {
            "checks": [check.as_dict() for check in checks.checks] if checks else [],
            "serving_verdict": checks.verdict.value if checks else None,
        }
        return {**version, **self.package.as_dict(), **judged}


@dataclass(frozen=True)
class ShipView(View):
    """A shipment, stage by stage; its `str` is the version's REF."""

    shipped: Shipped

    @property
    def version(self) -> ModelVersion:
        """The version as it is now."""
        return self.shipped.version

    @property
    def ref(self) -> VersionRef:
        """The version's name."""
        return self.version.ref

    @property
    def ok(self) -> bool:
        """Whether no stage failed."""
        return self.shipped.is_done

    @property
    def report(self) -> ReportView | None:
        """The version's gates."""
        return ReportView(self.version, self.version.report) if self.version.report else None

    @property
    def package(self) -> PackageView | None:
        """The version's bento."""
        return PackageView(self.version, self.version.package) if self.version.package else None

    def blocks(self) -> Sequence[Block]:
        """The stages, then the gates, then the bento."""
        steps = self.shipped.steps
        rows = [
            [Cell(step.stage), Cell(step.outcome, _OUTCOMES[step.outcome], is_badge=True), Cell(step.reason)]
            for step in steps
        ]
        blocks: list[Block] = [heading(self.version), Grid(("stage", "outcome", "because"), rows)]
        if self.report and self.report.report.checks:
            blocks += checks_blocks(self.report.report.checks)
        if self.package and any(step.stage == "package" for step in steps):
            *facts, after = self.package.blocks()[1:]
            # Who has deployed it need not be told how.
            blocks += facts if self.shipped.deployment is not None else [*facts, after]
        if self.shipped.deployment is not None:
            blocks += model_blocks(self.ref.model, self.shipped.deployment)
        return blocks

    def document(self) -> Mapping[str, Any]:
        """The version with `ok`, `steps`, the gates' `checks` and, when it was deployed, the `deployment`."""
        steps = [step.as_dict() for step in self.shipped.steps]
        checks = [check.as_dict() for check in self.version.report.checks] if self.version.report else []
        return {
            **self.version.as_dict(),
            "ok": self.ok,
            "steps": steps,
            "checks": checks,
            "deployment": self.shipped.deployment,
        }

    def __str__(self) -> str:
        return str(self.ref)
