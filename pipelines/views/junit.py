"""A shipment as JUnit XML, which every continuous integration shows: a test case a stage and a gate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pipelines.stages.ship_report import STAGES
from pipelines.values import Check, Verdict
from pipelines.views.blocks import number_text
from pipelines.views.parts import values_text

if TYPE_CHECKING:
    from pipelines.stages.ship_report import ShipReport

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


def junit_xml(report: ShipReport) -> str:
    """The document. A gate that did not pass is a failure, an exception an error, a stage not reached is skipped."""
    root = ElementTree.Element("testsuites", name=f"turnout ship {report.model}")
    stages = _suite(root, f"{report.model}: stages", report.seconds)
    facts = ElementTree.SubElement(stages, "properties")
    for name, value in _facts(report).items():
        ElementTree.SubElement(facts, "property", name=name, value=_clean(value))
    for stage in STAGES:
        _stage(stages, report, stage)
    gates = _suite(root, f"{report.model}: gates", 0.0)
    for check in report.checks:
        _gate(gates, report.model, check)
    for suite in (stages, gates):
        for what, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(what, str(len(list(suite.iter(tag)))))
    for what in ("tests", "failures", "errors", "skipped"):
        root.set(what, str(sum(int(suite.get(what, "0")) for suite in (stages, gates))))
    root.set("time", f"{report.seconds:.3f}")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )


def _suite(root: ElementTree.Element, name: str, seconds: float) -> ElementTree.Element:
    return ElementTree.SubElement(root, "testsuite", name=name, time=f"{seconds:.3f}")


def _facts(report: ShipReport) -> dict[str, str]:
    if report.shipped is None:
        return {"model": report.model}
    version = report.shipped.version
    rival = {"compared with": str(report.rival.ref)} if report.rival else {}
    return {"model": report.model, "version": str(version.ref), "run": version.run_id, **rival}


def _stage(suite: ElementTree.Element, report: ShipReport, stage: str) -> None:
    step = next((one for one in report.steps if one.stage == stage), None)
    if stage == "deploy" and step is None and report.broken_stage != stage:
        return  # nobody asked for it
    case = ElementTree.SubElement(suite, "testcase", classname=f"{report.model}.stages", name=stage)
    case.set("time", f"{report.seconds_of(stage):.3f}")
    if step is not None and step.outcome == "failed":
        _told(case, "failure", step.reason, "")
    elif step is not None:
        ElementTree.SubElement(case, "system-out").text = _clean(f"{step.outcome}: {step.reason}")
    elif report.error is not None and report.broken_stage == stage:
        told = _told(case, "error", report.error.what, str(report.error))
        told.set("type", type(report.error).__name__)
    else:
        ElementTree.SubElement(case, "skipped", message="not reached")


def _gate(suite: ElementTree.Element, model: str, check: Check) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=f"{model}.gates", name=_clean(check.name), time="0")
    seen = number_text(check.observed) if check.observed is not None else "nothing"
    said = f"observed {seen}, required {check.required}"
    if check.verdict is Verdict.PASS:
        ElementTree.SubElement(case, "system-out").text = _clean(said)
        return
    told = {name: value for name, value in check.evidence.items() if isinstance(value, int | float | str | list)}
    text = "\n".join(filter(None, (said, check.note, values_text(told) if told else "")))
    _told(case, "failure", f"{check.verdict.value}: {said}", text).set("type", check.verdict.value)


def _told(case: ElementTree.Element, tag: str, message: str, text: str) -> ElementTree.Element:
    element = ElementTree.SubElement(case, tag, message=_clean(message))
    element.text = _clean(text)
    return element


def _clean(text: str) -> str:
    return _FORBIDDEN.sub(lambda found: ascii(found.group())[1:-1], text)
