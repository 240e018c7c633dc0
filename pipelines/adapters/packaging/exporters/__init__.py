"""From a loaded model to a raw ONNX graph, one module a framework.

An exporter is a function `export(model, signature, precision) -> RawGraph`. The signature is the one the graph is to
have; `precision` (`float32` or `float64`) is what it should compute in. It raises ExportFailed, in words a person
understands, when it cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pipelines.adapters.packaging.graph import RawGraph
from pipelines.errors import MissingExtra
from pipelines.values import Signature

Export = Callable[[Any, Signature, str], RawGraph]


@dataclass(frozen=True, slots=True)
class Exporter:
    """What exports the models of one MLflow flavour.

    Args:
        extra: The extra of the distribution that installs what it needs.
        framework: The module the model itself needs.
        converters: The modules an export needs besides.
        module: The module here that has `export`.
        precisions: What to try, in this order.
    """

    extra: str
    framework: str
    converters: tuple[str, ...]
    module: str
    precisions: tuple[str, ...] = ("float32",)

    def require(self, *, export: bool) -> None:
        """Check that what is needed is installed, without importing it.

        Raises:
            MissingExtra: it is not; the message names the extra.
        """
        needed = (self.framework, *(self.converters if export else ()))
        for name in needed:
            if find_spec(name) is None:
                purpose = (
                    f"exporting a {self.framework} model to ONNX" if name in self.converters else "loading the model"
                )
                raise MissingExtra.of(self.extra, name, purpose)

    def load(self) -> Export:
        """The function that exports."""
        export: Export = import_module(f"{__name__}.{self.module}").export
        return export


_BOTH = ("float32", "float64")
_KERAS = Exporter("tensorflow", "tensorflow", ("tf2onnx", "onnx"), "keras")

EXPORTERS = {
    "keras": _KERAS,
    "tensorflow": _KERAS,
    "pytorch": Exporter("torch", "torch", ("onnxscript", "onnx"), "pytorch"),
    "sklearn": Exporter("sklearn", "sklearn", ("skl2onnx", "onnx"), "sklearn", _BOTH),
    "xgboost": Exporter("xgboost", "xgboost", ("onnxmltools", "skl2onnx", "onnx"), "trees"),
    "lightgbm": Exporter("lightgbm", "lightgbm", ("onnxmltools", "skl2onnx", "onnx"), "trees"),
}
"""By MLflow flavour."""
