"""Where the numbers come from, and whether anything else was running."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load import wrk_version

QUIET_PERCENT = 10.0
"""With more than this share of all cores at work elsewhere, numbers of the same run differ by chance."""

PACKAGES = (
    "bentoml",
    "keras",
    "mlflow",
    "numpy",
    "onnxruntime",
    "orjson",
    "tensorflow",
    "uvicorn",
    "uvloop",
    "httptools",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """The computer and its software."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    wrk: str
    packages: dict[str, str]

    @classmethod
    def here(cls) -> Machine:
        """This one."""
        return cls(
            processor=_processor(),
            cores=psutil.cpu_count() or 1,
            memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            wrk=wrk_version(),
            packages={name: version(name) for name in PACKAGES},
        )

    def as_dict(self) -> dict[str, Any]:
        """The machine as JSON."""
        return asdict(self)


def busy_percent(seconds: float = 2.0) -> float:
    """How much of all cores is used right now, while we do nothing."""
    return psutil.cpu_percent(interval=seconds)


def _processor() -> str:
    place = Path("/proc/cpuinfo")
    names = place.read_text(encoding="utf-8").splitlines() if place.is_file() else []
    found = next((line.partition(":")[2].strip() for line in names if line.startswith("model name")), "")
    return found or platform.processor() or platform.machine()
