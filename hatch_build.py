"""Puts service.py and bentofile.yaml into the wheel; an editable install reads them from the project's folder."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BentoSources(BuildHookInterface):  # type: ignore[type-arg]
    """Copies the two files to `pipelines/bento/` of the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name them for a standard wheel only: an editable one would keep a copy that grows old."""
        if version == "standard":
            for name in ("service.py", "bentofile.yaml"):
                build_data["force_include"][name] = f"pipelines/bento/{name}"
