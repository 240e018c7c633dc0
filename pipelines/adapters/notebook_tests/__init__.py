"""Runs the tests of notebooks: pytest in a process of its own, with nbval for the cells and a plugin that tells."""

from pipelines.adapters.notebook_tests.tester import PytestTester

__all__ = ["PytestTester"]
