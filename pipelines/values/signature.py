"""What goes into a model and what comes out, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pipelines.errors import BadInput

NUMERIC = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")
DTYPES = (*NUMERIC, "bool", "string", "datetime")


class Layout(StrEnum):
    """How the rows of a request are written in JSON."""

    TENSOR = "tensor"
    """Each row is the nested list of one unnamed array."""
    RECORDS = "records"
    """Each row is an object: the columns of a table, or several named arrays."""


class Task(StrEnum):
    """What the outputs mean."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Field:
    """One input or output.

    Args:
        name: Its name; for a single unnamed array the name the model itself gives it.
        dtype: One of DTYPES. `string` and `datetime` (ISO 8601) only occur with an empty shape.
        shape: The shape of ONE row, without the batch axis; () is a scalar, None an axis of any length.
        required: Whether each row must have a value. A missing one is null, or no key at all.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] = ()
    required: bool = True

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise BadInput(f"field {self.name!r} has the type {self.dtype!r}", instead=f"it may be {', '.join(DTYPES)}")

    @property
    def is_numeric(self) -> bool:
        """Whether the values are numbers (not booleans, text or dates)."""
        return self.dtype in NUMERIC

    @property
    def is_float(self) -> bool:
        """Whether the values are floating-point numbers."""
        return self.dtype.startswith("float")

    def as_dict(self) -> dict[str, Any]:
        """The field as JSON."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape), "required": self.required}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(data["name"], data["dtype"], tuple(data["shape"]), data["required"])


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs of a model.

    One output is answered as a list of its rows; several as a list of records, one per row.
    """

    layout: Layout
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    task: Task = Task.OTHER
    classes: tuple[str | int | float | bool, ...] = ()
    """For a classifier with probabilities: the label of each column of the field `probabilities`, in order."""

    def __post_init__(self) -> None:
        if not self.inputs or not self.outputs:
            raise BadInput("a signature without inputs or outputs", instead="each has at least one field")
        if self.layout is Layout.TENSOR and len(self.inputs) != 1:
            raise BadInput(f"a tensor signature with {len(self.inputs)} inputs", instead="several inputs are records")

    def as_dict(self) -> dict[str, Any]:
        """The signature as JSON."""
        return {
            "layout": self.layout.value,
            "inputs": [field.as_dict() for field in self.inputs],
            "outputs": [field.as_dict() for field in self.outputs],
            "task": self.task.value,
            "classes": list(self.classes),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            layout=Layout(data["layout"]),
            inputs=tuple(Field.from_dict(field) for field in data["inputs"]),
            outputs=tuple(Field.from_dict(field) for field in data["outputs"]),
            task=Task(data["task"]),
            classes=tuple(data["classes"]),
        )
