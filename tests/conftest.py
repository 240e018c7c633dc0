"""What holds for every test."""

from __future__ import annotations

import os

import pytest

# A process that kernels are forked from would stay for a quarter of an hour after each test's project.
os.environ.setdefault("TURNOUT_WARM_KERNELS", "0")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """In continuous integration nothing is skipped: what a test needs is there, or the run has failed."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which continuous integration does not allow: {report.longrepr}"
    del item, call
    return report
