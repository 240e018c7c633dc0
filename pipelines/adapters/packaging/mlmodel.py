"""An MLflow model folder as its file `MLmodel` describes it, read without MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.adapters.packaging.exporters import EXPORTERS
from pipelines.errors import PackageFailed

PYFUNC = "python_function"


@dataclass(frozen=True, slots=True)
class LoggedFolder:
    """A folder with an MLflow model.

    Args:
        folder: The folder.
        flavour: The MLflow flavour that loads it: one of EXPORTERS, or `python_function`.
    """

    folder: Path
    flavour: str

    @classmethod
    def read(cls, folder: Path) -> LoggedFolder:
        """Read `MLmodel`.

        Raises:
            PackageFailed: there is none, or it cannot be read.
        """
        import yaml

        path = folder / "MLmodel"
        try:
            described = yaml.safe_load(path.read_text(encoding="utf-8"))
            flavours = set(described["flavors"])
        except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
            raise PackageFailed(
                f"{path} cannot be read: {error}",
                instead="it is the description that `mlflow.<flavour>.log_model` writes",
                then="Train the version again.",
            ) from error
        known = [flavour for flavour in EXPORTERS if flavour in flavours]
        return cls(folder, known[0] if known else PYFUNC)
