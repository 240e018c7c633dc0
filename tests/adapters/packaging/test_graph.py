"""Finished graphs: fields as inputs and outputs, and bytes that do not depend on a converter's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipelines.adapters.packaging.graph import Answer, Feed, RawGraph, finish, tensor_names
from pipelines.errors import ExportFailed
from pipelines.values import Field, Layout, Signature

AGE, INCOME, MEMBER = Field("age", "int64"), Field("income", "float32", required=False), Field("member", "bool")
TOTAL = Field("prediction", "float32")


def raw(prefix: str = "", *, shuffled: bool = False, fields: tuple[Field, ...] = (AGE, INCOME, MEMBER)) -> RawGraph:
    """A graph that adds up three weighted columns, under names of a converter's own choosing."""
    constants = [
        numpy_helper.from_array(np.array([[1.0], [10.0], [100.0]], np.float32), f"{prefix}weights"),
        numpy_helper.from_array(np.array([0.5], np.float32), f"{prefix}shift"),
        numpy_helper.from_array(np.array([9.0], np.float32), f"{prefix}unused"),
    ]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", [f"{prefix}X", f"{prefix}weights"], [f"{prefix}sum"], name=f"{prefix}node"),
            helper.make_node("Add", [f"{prefix}sum", f"{prefix}shift"], [f"{prefix}Y"]),
        ],
        f"{prefix}graph",
        [helper.make_tensor_value_info(f"{prefix}X", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info(f"{prefix}Y", TensorProto.FLOAT, [None, 1])],
        constants[::-1] if shuffled else constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(
        graph, opset_imports=opsets[::-1] if shuffled else opsets, ir_version=9, producer_name=f"{prefix}maker"
    )
    return RawGraph(model, (Feed(f"{prefix}X", fields),), (Answer(f"{prefix}Y", TOTAL),))


def run(graph: bytes, feeds: dict[str, Any]) -> Any:
    """The only output of a graph."""
    return onnxruntime.InferenceSession(graph).run(None, feeds)[0]


def test_columns_of_several_types_are_joined_into_one_input() -> None:
    """Whole numbers, a column with gaps and booleans each arrive as they are."""
    graph = finish(raw())
    session = onnxruntime.InferenceSession(graph)

    assert [(node.name, node.type, node.shape) for node in session.get_inputs()] == [
        ("in.age", "tensor(int64)", ["rows", 1]),
        ("in.income", "tensor(float)", ["rows", 1]),
        ("in.member", "tensor(bool)", ["rows", 1]),
    ]
    feeds = {
        "in.age": np.array([[3], [4]]),
        "in.income": np.array([[2.0], [np.nan]], np.float32),
        "in.member": np.array([[True], [False]]),
    }
    assert run(graph, feeds)[0].tolist() == [3 + 20 + 100 + 0.5]
    assert np.isnan(run(graph, feeds)[1])


def test_names_order_and_maker_do_not_change_the_bytes() -> None:
    """Converters count, shuffle and sign; a digest must not see it."""
    assert finish(raw()) == finish(raw("other_17_", shuffled=True))


def test_another_weight_changes_the_bytes() -> None:
    """What counts is seen."""
    changed = raw()
    changed.model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.array([0.6], np.float32), "shift"))

    assert finish(changed) != finish(raw())


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        (Field("x", "int64", required=False), "tensor(double)"),
        (Field("x", "bool", required=False), "tensor(float)"),
        (Field("x", "uint8"), "tensor(uint8)"),
        (Field("x", "float64"), "tensor(double)"),
    ],
)
def test_a_value_that_may_be_missing_arrives_as_one_that_can_be_nan(field: Field, kind: str) -> None:
    """Whole numbers with gaps come as float64, which holds them up to 2^53."""
    fields = (field, Field("y", "float32"), Field("z", "float32"))
    session = onnxruntime.InferenceSession(finish(raw(fields=fields)))

    assert session.get_inputs()[0].type == kind


def test_an_input_that_the_model_ignores_is_still_taken() -> None:
    """A request has all columns, whatever the converter left out."""
    ignoring = raw()
    graph = RawGraph(ignoring.model, (*ignoring.feeds, Feed("gone", (Field("note", "string"),))), ignoring.answers)

    assert "in.note" in [node.name for node in onnxruntime.InferenceSession(finish(graph)).get_inputs()]


def test_one_column_of_an_output_can_be_the_answer() -> None:
    """A booster for two classes answers with the second one's probability."""
    vector = raw()
    doubled = helper.make_node("Concat", ["Y", "Y2"], ["both"], axis=1)
    vector.model.graph.node.extend([helper.make_node("Neg", ["Y"], ["Y2"]), doubled])
    vector.model.graph.output[0].CopyFrom(helper.make_tensor_value_info("both", TensorProto.FLOAT, [None, 2]))
    graph = RawGraph(vector.model, vector.feeds, (Answer("both", TOTAL, column=1),))
    feeds = {"in.age": np.array([[1]]), "in.income": np.zeros((1, 1), np.float32), "in.member": np.array([[False]])}

    assert run(finish(graph), feeds).tolist() == [-1.5]


def test_subgraphs_are_renamed_with_the_names_around_them() -> None:
    """A branch uses values of the graph around it: both are renamed alike, and the result still runs."""

    def branching(prefix: str) -> RawGraph:
        def branch(name: str, operator: str) -> Any:
            node = helper.make_node(operator, [f"{prefix}Y", f"{prefix}shift"], [f"{prefix}{name}"])
            value = helper.make_tensor_value_info(f"{prefix}{name}", TensorProto.FLOAT, None)
            return helper.make_graph([node], f"{prefix}{name}", [], [value])

        made = raw(prefix)
        made.model.graph.initializer.append(numpy_helper.from_array(np.array(True), f"{prefix}flag"))
        made.model.graph.node.append(
            helper.make_node(
                "If",
                [f"{prefix}flag"],
                [f"{prefix}Z"],
                then_branch=branch("then", "Mul"),
                else_branch=branch("else", "Sub"),
            )
        )
        result = helper.make_tensor_value_info(f"{prefix}Z", TensorProto.FLOAT, [None, 1])
        made.model.graph.output[0].CopyFrom(result)
        return RawGraph(made.model, made.feeds, (Answer(f"{prefix}Z", TOTAL),))

    graph = finish(branching("a_"))
    feeds = {"in.age": np.array([[1]]), "in.income": np.zeros((1, 1), np.float32), "in.member": np.array([[False]])}

    assert run(graph, feeds).tolist() == [[0.75]]
    assert graph == finish(branching("b_"))


def test_the_raw_graph_is_left_as_it_is() -> None:
    """Finishing works on a copy."""
    made = raw()
    before = made.model.SerializeToString()
    finish(made)

    assert made.model.SerializeToString() == before


def test_dates_have_no_type_in_onnx() -> None:
    """They are refused by name."""
    with pytest.raises(ExportFailed, match="ONNX has no dates, and 'since' is one"):
        finish(raw(fields=(AGE, INCOME, Field("since", "datetime"))))


def test_an_input_and_an_output_of_one_name_are_refused() -> None:
    """One mapping of names serves both."""
    signature = Signature(Layout.RECORDS, (AGE,), (Field("age", "float32"),))
    with pytest.raises(ExportFailed, match="the input 'age' has the name of an output"):
        tensor_names(signature)


def test_a_finished_graph_can_be_written_and_loaded(tmp_path: Path) -> None:
    """It is one file."""
    (tmp_path / "model.onnx").write_bytes(finish(raw()))

    assert onnxruntime.InferenceSession(str(tmp_path / "model.onnx")).get_outputs()[0].name == "out.prediction"
