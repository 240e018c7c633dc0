"""What the judge keeps and sees: nothing is counted twice, nothing is lost when its daemon ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path

from pipelines.local.counts import ArmCounts, HostCounts
from pipelines.local.judge.book import Book, Case
from pipelines.local.judge.watching import Pair, Position, Watch
from pipelines.local.telemetry import Incident, Place
from pipelines.policy.rollout import judge, replay
from pipelines.policy.trial import begin
from pipelines.values import HostHealth, LabelledAnswer, VersionRef
from pipelines.values.decisions import Record
from pipelines.values.evidence import Exposure, Rules
from pipelines.values.seen import Outcomes, Seen
from tests.local.memory_target import BEGINNING

ROOT = Path(__file__).resolve().parents[2]
STABLE, CANARY = VersionRef("digits", 1), VersionRef("digits", 2)
PAIR = Pair(CANARY, STABLE, 3)


class Traffic:
    """Sources whose figures are set by hand."""

    def __init__(self) -> None:
        self.answered = 0
        self.instance = "host-a"
        self.restarts = {STABLE: 0, CANARY: 0}
        self.ready = {STABLE, CANARY}
        self.labels: list[LabelledAnswer] = []

    def health(self) -> Mapping[VersionRef, HostHealth]:
        """Both versions."""
        return {
            ref: HostHealth("ready" if ref in self.ready else "unhealthy", 1, 1, BEGINNING, count)
            for ref, count in self.restarts.items()
        }

    def counts(self, refs: Iterable[VersionRef]) -> Mapping[str, HostCounts]:
        """One host of the candidate, which also counted under an earlier split."""
        assert set(refs) == {STABLE, CANARY}
        return {self.instance: HostCounts(CANARY, {2: ArmCounts(500), 3: ArmCounts(self.answered)})}

    def incidents(self, place: Place, model: str) -> tuple[list[Incident], Place]:
        """Nothing went wrong."""
        assert model == "digits"
        return [], place

    def missing(self) -> str:
        """All can be seen."""
        return ""

    def labelled(self, model: str, after: int | None, since: int) -> tuple[list[LabelledAnswer], int | None]:
        """From the beginning of the rollout on, one after the other."""
        assert (model, since) == ("digits", PAIR.since)
        return [one for one in self.labels if one.number > (after or 0)][:4], min(len(self.labels), (after or 0) + 4)

    def pairs(self, candidate: VersionRef, stable: VersionRef, begun: float, after: int) -> tuple[tuple[int, int], int]:
        """Nobody knows when the rollout began, so that nobody asks."""
        raise AssertionError((candidate, stable, begun, after))


def test_each_answer_counts_once_whatever_ends_in_between() -> None:
    """Answers are those since the position, also after a new daemon and a new host process; those before never."""
    traffic, clock = Traffic(), [0.0]

    def new() -> Watch:
        return Watch(traffic, PAIR, lambda: clock[0], lambda: clock[0])

    watch, position, total = new(), Position(), 0
    for step in range(9):
        clock[0] += 1
        traffic.answered += 10
        if step == 3:
            position, watch = Position.from_dict(position.as_dict()), new()
        seen, position = watch.look(position, 3, 0.1)
        total += seen.candidate_requests
    assert total == traffic.answered - 10
    traffic.instance, traffic.answered = "host-b", 7
    for _ in range(2):
        seen, position = watch.look(position, 3, 0.1)
        total += seen.candidate_requests
    assert total == 90 + 7


def test_each_label_counts_once_under_the_share_of_its_request() -> None:
    """Also when the daemon ends in between; those of an earlier rollout, of a third version or of a split without a
    choice never.
    """
    traffic, clock = Traffic(), [0.0]

    def new() -> Watch:
        return Watch(traffic, PAIR, lambda: clock[0], lambda: clock[0])

    def label(ref: VersionRef, generation: int, *, is_wrong: bool) -> None:
        traffic.labels.append(LabelledAnswer(len(traffic.labels) + 1, "id", ref, generation, is_wrong))

    watch, position, seen = new(), Position(), list[Outcomes]()
    _, position = watch.look(position, 3, 0.1)
    for ref, generation in ((STABLE, 2), (VersionRef("digits", 9), 3), (STABLE, 5)):
        label(ref, generation, is_wrong=True)
    for number in range(3):
        label(STABLE, 3, is_wrong=False)
        label(CANARY, 3, is_wrong=number == 0)
        label(CANARY, 4, is_wrong=True)
    for _ in range(5):
        found, position = watch.look(position, 4, 0.5)
        seen += found.labelled
        position, watch = Position.from_dict(json.loads(json.dumps(position.as_dict()))), new()
    by_share = {share: [one for one in seen if one.share == share] for share in (0.1, 0.5)}
    assert sum(len(found) for found in by_share.values()) == len(seen)
    together = {share: reduce(Outcomes.plus, found) for share, found in by_share.items()}
    assert together == {0.1: Outcomes(0.1, 3, 1, 3, 0), 0.5: Outcomes(0.5, 3, 3)}


def test_a_process_that_ends_alone_is_a_reason_and_one_that_ends_with_the_other_is_not() -> None:
    """What befalls both versions is the machine."""
    for both, expected in ((False, True), (True, False)):
        traffic, clock = Traffic(), [0.0]
        watch, position = Watch(traffic, PAIR, lambda clock=clock: clock[0], lambda: 0.0), Position()
        _, position = watch.look(position, 3, 0.1)
        traffic.restarts = {STABLE: int(both), CANARY: 1}
        stops = []
        for _ in range(3):
            clock[0] += 1
            seen, position = watch.look(position, 3, 0.1)
            stops.append(seen.stop)
        assert any(stops) is expected


def test_what_was_decided_is_decided_again_from_the_record(tmp_path: Path) -> None:
    """Evidence and decision come back from the disk as they were, and the record leads to the same decision."""
    rules, trial = Rules(), begin("r", str(CANARY), str(STABLE), 0.1, BEGINNING)
    watch = Watch(Traffic(), PAIR, lambda: 0.0, lambda: 0.0)
    seen, position = watch.look(Position(), 3, 0.1)
    after, decision = judge(rules, trial, seen, BEGINNING)
    record = Record(rules, trial, seen, BEGINNING, decision)
    case = Case(PAIR, rules, after, position, {"state": "judging"})
    book = Book(tmp_path / "evidence.db")
    book.keep("digits", case, record)
    book.close()
    again = Book(tmp_path / "evidence.db")
    assert again.case("digits") == case
    (found,) = again.decisions("digits")
    assert found == record
    assert replay(found) == decision
    again.close()


def kept(number: int) -> Case:
    """A case that has seen so many looks."""
    trial = begin("r", str(CANARY), str(STABLE), 0.1, BEGINNING)
    total = Exposure(candidate=number)
    return Case(PAIR, Rules(), trial.with_(total=total), Position(Place(1, number)), {"state": f"look {number}"})


def decided(number: int) -> Record:
    """What was decided then."""
    trial, seen = kept(number).trial, Seen(candidate_requests=number)
    return Record(Rules(), trial, seen, BEGINNING, judge(Rules(), trial, seen, BEGINNING)[1])


def test_a_daemon_killed_while_it_writes_leaves_a_whole_look(tmp_path: Path) -> None:
    """Evidence, place and decision are of one look, and it is the last that was acknowledged or the one after it."""
    program = """
import sys
from pathlib import Path
from pipelines.local.judge.book import Book
from tests.local.test_judge import decided, kept
book = Book(Path(sys.argv[1]))
for number in range(1, 1_000_000):
    book.keep("digits", kept(number), decided(number))
    print(number, flush=True)
"""
    for lines in (1, 7, 40):
        path = tmp_path / str(lines) / "evidence.db"
        with subprocess.Popen(
            [sys.executable, "-c", program, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(lines):
                process.stdout.readline()
            process.kill()
            told = lines + len(process.stdout.readlines())
        book = Book(path)
        case, decisions = book.case("digits"), book.decisions("digits", limit=10_000)
        assert case is not None
        assert case.trial.total.candidate in (told, told + 1)
        assert case == kept(case.trial.total.candidate)
        assert decisions[0] == decided(case.trial.total.candidate)
        assert len(decisions) == case.trial.total.candidate
        book.close()


def test_a_full_disk_is_one_clear_error_and_what_was_kept_stays(tmp_path: Path) -> None:
    """The file may not grow: the error names it; when it may again, the same call succeeds."""
    program = """
import json, resource, signal, sys
from pathlib import Path
from pipelines.errors import StorageFailed
from pipelines.local.judge.book import Book
from tests.local.test_judge import decided, kept
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
book = Book(path)
book.keep("digits", kept(1), decided(1))
wal = path.with_name(path.name + "-wal")
resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size + 20_000, resource.RLIM_INFINITY))
told, number = "", 1
while not told:
    try:
        book.keep("digits", kept(number + 1), decided(number + 1))
        number += 1
    except StorageFailed as error:
        told = str(error)
kept_then = book.case("digits").trial.total.candidate
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
book.keep("digits", kept(number + 1), decided(number + 1))
print(json.dumps([told, number, kept_then, book.case("digits").trial.total.candidate]))
"""
    path = tmp_path / "evidence.db"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    told, number, kept_then, after = json.loads(done.stdout)
    assert str(path) in told
    assert "Free some space" in told
    assert kept_then == number
    assert after == number + 1
