"""What skl2onnx cannot convert by itself."""

from __future__ import annotations

from typing import Any

from pipelines.adapters.packaging.exporters.sklearn_parts import parts


def register_converters(model: Any) -> None:
    """Teach skl2onnx what it lacks: boosters among the model's parts, gaps in float64, and histogram boosting."""
    _register_imputer()
    _register_histograms()
    found = {type(part).__name__: type(part) for part in parts(model)}
    for name, kind in found.items():
        family = kind.__module__.split(".")[0]
        if family in ("xgboost", "lightgbm"):
            _register_booster(name, kind, family)


def _register_imputer() -> None:
    import numpy as np
    from skl2onnx import update_registered_converter
    from skl2onnx.common.data_types import DoubleTensorType
    from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer
    from skl2onnx.proto import onnx_proto
    from skl2onnx.shape_calculators.imputer import calculate_sklearn_imputer_output_shapes
    from sklearn.impute import SimpleImputer

    def convert(scope: Any, operator: Any, container: Any) -> None:
        imputer, inputs = operator.raw_operator, operator.inputs
        fills_nan = isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)
        if not fills_nan or not all(isinstance(given.type, DoubleTensorType) for given in inputs):
            convert_sklearn_imputer(scope, operator, container)
            return
        # onnxruntime has its Imputer in float32 only.
        joined, gaps, fill = (scope.get_unique_variable_name(name) for name in ("joined", "gaps", "fill"))
        fills = imputer.statistics_
        container.add_initializer(fill, onnx_proto.TensorProto.DOUBLE, [1, len(fills)], fills.tolist())
        container.add_node("Concat", [given.full_name for given in inputs], joined, axis=1)
        container.add_node("IsNaN", joined, gaps)
        container.add_node("Where", [gaps, fill, joined], operator.outputs[0].full_name)

    update_registered_converter(
        SimpleImputer, "SklearnSimpleImputer", calculate_sklearn_imputer_output_shapes, convert, overwrite=True
    )


def _register_booster(name: str, kind: type, family: str) -> None:
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    if family == "xgboost":
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost as convert
    else:
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm as convert
    is_classifier = hasattr(kind, "predict_proba")
    update_registered_converter(
        kind,
        f"Booster{name}",
        calculate_linear_classifier_output_shapes if is_classifier else calculate_linear_regressor_output_shapes,
        convert,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]} if is_classifier else None,
    )


def _register_histograms() -> None:
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator
    from skl2onnx.operator_converters import random_forest
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    def convert_classifier(scope: Any, operator: Any, container: Any) -> None:
        random_forest.convert_sklearn_random_forest_classifier(scope, operator, _PlainNumbers(container))

    def convert_regressor(scope: Any, operator: Any, container: Any) -> None:
        random_forest.convert_sklearn_random_forest_regressor_converter(scope, operator, _PlainNumbers(container))

    update_registered_converter(
        HistGradientBoostingClassifier,
        "SklearnHistGradientBoostingClassifier",
        shape_calculator.calculate_linear_classifier_output_shapes,
        convert_classifier,
        overwrite=True,
        options={
            "zipmap": [True, False, "columns"],
            "raw_scores": [True, False],
            "output_class_labels": [False, True],
            "nocl": [True, False],
        },
    )
    update_registered_converter(
        HistGradientBoostingRegressor,
        "SklearnHistGradientBoostingRegressor",
        shape_calculator.calculate_linear_regressor_output_shapes,
        convert_regressor,
        overwrite=True,
    )


class _PlainNumbers:
    """A converter's container that writes NumPy's booleans and integers as integers.

    The histogram trees hand them over as NumPy has them (scikit-learn 1.9), and ONNX takes none but its own.
    """

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, op_type: str, inputs: Any, outputs: Any, **attributes: Any) -> Any:
        """See the container's own."""
        plain = {name: _plain(value) if isinstance(value, list) else value for name, value in attributes.items()}
        return self._container.add_node(op_type, inputs, outputs, **plain)


def _plain(values: list[Any]) -> list[Any]:
    import numpy as np

    return [int(value) if isinstance(value, np.bool_ | np.integer | bool) else value for value in values]
