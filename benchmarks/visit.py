"""One contender in one round: started, compared with Keras, pressed, weighed, stopped."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environments import environment
from benchmarks.errors import NotMeasured
from benchmarks.field import Contender
from benchmarks.load import Sample, press
from benchmarks.material import Material
from benchmarks.server import Server

CONNECTIONS = (1, 16, 64)
TOLERANCE = 1e-4
COMPARED_ROWS = 16
WARM_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Visit:
    """What was seen of a contender in one round.

    Args:
        round: Counted from 0.
        ready_seconds: From the start of the process to the first answer.
        samples: One for each number of connections.
        memory_mb: Of the process and its descendants after the load, 10^6 bytes.
        memory_kind: What was added up, `PSS` or `RSS`.
        rss_mb: The sum of `RSS` in any case.
        largest_difference: Between its answers and those of Keras, over all rows compared.
    """

    round: int
    ready_seconds: float
    samples: tuple[Sample, ...]
    memory_mb: float
    memory_kind: str
    rss_mb: float
    largest_difference: float

    def sample(self, connections: int) -> Sample:
        """The one with that many connections."""
        return next(each for each in self.samples if each.connections == connections)

    def as_dict(self) -> dict[str, Any]:
        """The visit as JSON."""
        return asdict(self)


@dataclass
class Outcome:
    """All that was seen of a contender.

    Args:
        contender: Which one.
        visits: One for each round it took part in.
        not_measured: Why there is none, or no further one.
    """

    contender: Contender
    visits: list[Visit] = field(default_factory=list)
    not_measured: str = ""

    def prepare(self) -> None:
        """Make the environment that the contender needs."""
        try:
            if self.contender.needs:
                environment(self.contender.needs)
        except NotMeasured as error:
            self.not_measured = str(error)

    def visit(self, number: int, material: Material, seconds: float, said: Callable[[str], None]) -> None:
        """Take part in one round, unless an earlier one failed."""
        if self.not_measured:
            return
        try:
            seen = visit(self.contender, number, material, seconds)
        except NotMeasured as error:
            self.not_measured = str(error)
            said(f"round {number + 1}: {self.contender.title}: not measured: {error}")
            return
        self.visits.append(seen)
        rates = ", ".join(f"{each.rate:,.0f}/s with {each.connections}" for each in seen.samples)
        said(f"round {number + 1}: {self.contender.title}: {rates}")

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON."""
        return {
            "name": self.contender.name,
            "title": self.contender.title,
            "how": self.contender.how,
            "not_measured": self.not_measured,
            "visits": [visit.as_dict() for visit in self.visits],
        }


def visit(contender: Contender, number: int, material: Material, seconds: float) -> Visit:
    """Start, compare, press for `seconds` with each number of connections, weigh, stop.

    Raises:
        NotMeasured: it does not start, or does not answer as Keras does.
    """
    launch = contender.launch(material)
    one = _write(material.folder / f"{contender.name}.json", contender.body(material.rows[:1].tolist()))
    with Server(launch, material.folder / f"{contender.name}.log") as server:
        ready = server.ready_seconds(one.read_bytes())
        difference = largest_difference(contender, server, material)
        press(launch.url, one, 16, WARM_UP_SECONDS)
        samples = tuple(press(launch.url, one, connections, seconds) for connections in CONNECTIONS)
        memory = server.memory()
    return Visit(number, ready, samples, memory.mb, memory.kind, memory.rss_mb, difference)


def largest_difference(contender: Contender, server: Server, material: Material) -> float:
    """Between its answers to single images and what Keras answers; at most TOLERANCE.

    Raises:
        NotMeasured: it is larger, or an image is not answered.
    """
    largest = 0.0
    pairs = zip(material.rows[:COMPARED_ROWS], material.expected[:COMPARED_ROWS], strict=True)
    for number, (row, expected) in enumerate(pairs):
        try:
            status, answer = server.ask(json.dumps(contender.body([row.tolist()])).encode())
        except (OSError, http.client.HTTPException) as error:
            raise NotMeasured(f"image {number} is not answered: {error}") from error
        if status != 200:
            raise NotMeasured(f"image {number} is answered with {status}: {answer}")
        seen = np.asarray(contender.outputs(answer), np.float32)
        if seen.shape != (1, *expected.shape):
            raise NotMeasured(f"image {number} is answered in the shape {seen.shape}")
        largest = max(largest, float(np.abs(seen[0] - expected).max()))
    if not largest <= TOLERANCE:
        raise NotMeasured(f"its answers differ from Keras' by {largest:.2g}")
    return largest


def _write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    return path
