"""Labels and the answers they belong to: a file of its own, since much is written to it.

Whatever came first waits for the other: a label for its capture, a capture for its label. Only what has become a pair
counts, and each pair once.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pipelines.local.captures.folder import CaptureFolder, lines, read_line
from pipelines.local.captures.joining import Answer, answer_of, read_spooled
from pipelines.local.captures.label_file import Read, answers_of, count, disagreements, drop_old, label_file, pair
from pipelines.policy.truth import Tally, quality
from pipelines.values import CaptureSettings, LabelledAnswer, VersionRef
from pipelines.values.labels import KINDS, Label, LabelSummary, Quality, Taken

KEPT_ROWS = 1_000_000
"""Labelled rows of a model; older ones are counted, and not looked at again."""
KEPT_ANSWERS, KEPT_LABELS = 2_000_000, 4_000_000
"""A label outlives its answer: it would otherwise be joined again when it came again."""
LINES = 4000
"""So many captures are read at once: as long as they are joined nobody else writes."""
_DAY = 86400.0


class LabelStore:
    """One project's labels; safe for threads and for several processes.

    Args:
        path: The file, made when the first label comes.
        captures: What hosts have kept.
        now: Seconds since 1970.
    """

    def __init__(self, path: Path, captures: CaptureFolder, now: Callable[[], float] = time.time) -> None:
        self._file, self._captures, self._now = label_file(path), captures, now

    @property
    def exists(self) -> bool:
        """Whether any label ever came; until then nothing is read or written for their sake."""
        return self._file.path.exists()

    def add(self, model: str, labels: Sequence[Label], read: Read | None = None) -> Taken:
        """Take labels in, all or none, and join those whose answers are known.

        The first label of a request holds, unless it did not fit the answer: the same again changes nothing, and one
        that contradicts it is counted.

        Args:
            model: Whose requests they are.
            labels: Not too many: nobody else writes meanwhile.
            read: Of which file they are, and how far it is read with them; when it is read further already, nothing is
                taken.

        Raises:
            StorageFailed: the disk is full or read-only, or the store is broken.
        """
        settings = self._captures.settings(model)
        with self._file.open("taking labels in") as db:
            if read is not None and not read.advance(db):
                return Taken()
            fresh, known, others, examples = self._sort(db, model, labels)
            counts = {**dict.fromkeys(KINDS, 0), "repeated": known, "contradicting": others}
            found = answers_of(db, model, list(fresh))
            at = self._now()
            for key, label in fresh.items():
                state, why = self._settle(db, model, label, found.get(key, []), settings)
                counts[state] += 1
                examples += [f"{key}: {why}"] if why else []
                db.execute(
                    "INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?, ?, ?)",
                    (model, key, json.dumps(label.rows), at, state, why),
                )
            count(db, model, counts)
        return Taken(**counts, examples=tuple(examples[:5]))

    def expect(self, model: str) -> None:
        """See `ports.Labels`."""
        with self._file.open("making the file"):
            pass
        self.read(model)

    def read(self, model: str, most: int | None = None) -> bool:
        """Read on what hosts have kept of a model, and join it with the labels that wait for it.

        As long as no label ever came nothing is read.

        Args:
            model: It.
            most: How many captures at most; None for all.

        Returns:
            Whether there may be more.

        Raises:
            StorageFailed: the disk is full or read-only, or the store is broken.
        """
        if not self.exists:
            return False
        left = most
        hidden = frozenset(settings.hash) if (settings := self._captures.settings(model)) else frozenset()
        offsets = self._offsets()
        for ref in self._captures.versions(model):
            for segment in self._captures.segments(ref):
                while left is None or left > 0:
                    size = LINES if left is None else min(LINES, left)
                    count = self._read_some(segment, offsets, size, hidden)
                    left = None if left is None else left - count
                    if count < size:
                        break
        return left is not None and left <= 0

    def summary(self, model: str) -> LabelSummary:
        """What is known of a model's quality.

        Raises:
            StorageFailed: the store is broken.
        """
        settings = self._captures.settings(model)
        rate = settings.rate if settings else None
        if not self.exists:
            return LabelSummary(rate=rate)
        with self._file.open("reading") as db:
            counts = dict(db.execute("SELECT name, value FROM counts WHERE model = ?", (model,)))
            why = "SELECT id || ': ' || why FROM labels WHERE model = ? AND state = 'unfit' LIMIT 5"
            examples = tuple(text for (text,) in db.execute(why, (model,)))
            rows = db.execute(
                "SELECT version, is_classes, requests, rows, rows_squared, faults, faults_squared, crossed "
                "FROM tallies WHERE model = ? ORDER BY version, is_classes DESC",
                (model,),
            ).fetchall()
        versions: dict[str, tuple[Quality, ...]] = {}
        for version, is_classes, *sums in rows:
            ref = f"{model}@{version}"
            versions[ref] = (*versions.get(ref, ()), quality(Tally(bool(is_classes), *sums)))
        return LabelSummary(versions, Taken(**{**dict.fromkeys(KINDS, 0), **counts}, examples=examples), rate)

    def trials(self, model: str, after: int = 0, limit: int = 10_000) -> list[LabelledAnswer]:
        """See `ports.Labels`."""
        if not self.exists:
            return []
        with self._file.open("reading") as db:
            rows = db.execute(
                "SELECT number, id, version, generation, is_wrong FROM labelled "
                "WHERE model = ? AND number > ? AND is_trial ORDER BY number LIMIT ?",
                (model, after, limit),
            ).fetchall()
        return [
            LabelledAnswer(number, key, VersionRef(model, version), generation, bool(is_wrong))
            for number, key, version, generation, is_wrong in rows
        ]

    def pairs(
        self, candidate: VersionRef, stable: VersionRef, begun: float, after: int = 0
    ) -> tuple[tuple[int, int], int]:
        """Labelled requests that both versions answered: how often the candidate alone was wrong, how often the other.

        Args:
            candidate: The version that got copies.
            stable: The version whose requests they were.
            begun: Requests from then on count, in seconds since 1970.
            after: The number that came back the last time.

        Returns:
            The two counts, and the number to go on behind.

        Raises:
            StorageFailed: the store is broken.
        """
        if not self.exists:
            return (0, 0), after
        with self._file.open("reading") as db:
            query = "SELECT max(number) FROM labelled WHERE model = ?"
            last = max(after, db.execute(query, (candidate.model,)).fetchone()[0] or 0)
            return disagreements(db, candidate, stable, begun, (after, last)), last

    def before(self, model: str, generation: int) -> int:
        """The number of the last trial before those of a split and of the ones after it.

        Raises:
            StorageFailed: the store is broken.
        """
        if not self.exists:
            return 0
        with self._file.open("reading") as db:
            query = "SELECT min(number) FROM labelled WHERE model = ? AND is_trial AND generation >= ?"
            first = db.execute(query, (model, generation)).fetchone()[0]
            last = db.execute("SELECT max(number) FROM labelled WHERE model = ? AND is_trial", (model,)).fetchone()[0]
        return int(last or 0) if first is None else int(first) - 1

    def tidy(self, model: str, days: float) -> None:
        """Forget answers that are older than captures may be, labels that found none, and rows beyond `KEPT`.

        Raises:
            StorageFailed: the disk is full or read-only, or the store is broken.
        """
        if not self.exists:
            return
        oldest = self._now() - days * _DAY
        with self._file.open("tidying") as db:
            drop_old(db, "answers", model, oldest, KEPT_ANSWERS)
            drop_old(db, "labels", model, oldest - _DAY, KEPT_LABELS)
            db.execute(
                "DELETE FROM labelled WHERE model = ? AND number <= "
                "(SELECT number FROM labelled WHERE model = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (model, model, KEPT_ROWS),
            )
            for (path,) in db.execute("SELECT path FROM segments").fetchall():
                if not (self._captures.path / path).exists():
                    db.execute("DELETE FROM segments WHERE path = ?", (path,))

    def spooled(self, model: str, most: int = LINES) -> Taken:
        """Take in what hosts have put down, each label once.

        Args:
            model: It.
            most: How many at once.

        Raises:
            StorageFailed: the disk is full or read-only, or the store is broken.
        """
        taken = Taken()
        for file in self._captures.spooled(model):
            name = self._name(file)
            offset = self._offsets().get(name, 0)
            while found := list(islice(lines(file, offset), most)):
                labels = [label for line, _ in found if (label := read_spooled(line)) is not None]
                taken = taken.plus(self.add(model, labels, Read(name, offset, found[-1][1])))
                offset = self._offsets().get(name, 0)
            self._captures.release(file, offset, self._now())
        return taken

    def close(self) -> None:
        """Close the file; what was written is on the disk already."""
        self._file.close()

    def _name(self, file: Path) -> str:
        return file.relative_to(self._captures.path).as_posix()

    def _offsets(self) -> dict[str, int]:
        with self._file.open("reading") as db:
            return dict(db.execute("SELECT path, offset FROM segments"))

    def _sort(
        self, db: sqlite3.Connection, model: str, labels: Sequence[Label]
    ) -> tuple[dict[str, Label], int, int, list[str]]:
        """Those that count; how many repeat one, how many contradict one, and some of these in words."""
        query = (
            "SELECT id, truth FROM labels WHERE model = ? AND state <> 'unfit' "
            "AND id IN (SELECT value FROM json_each(?))"
        )
        keys = json.dumps([label.request_id for label in labels])
        held = {key: tuple(json.loads(truth)) for key, truth in db.execute(query, (model, keys))}
        fresh: dict[str, Label] = {}
        repeated = contradicting = 0
        examples: list[str] = []
        for label in labels:
            key = label.request_id
            if key not in held:
                fresh[key], held[key] = label, label.rows
            elif held[key] == label.rows:
                repeated += 1
            else:
                contradicting += 1
                examples.append(f"{key}: {_list(held[key])} came first and holds, then came {_list(label.rows)}")
        # One that did not fit is counted no more when another one takes its place.
        query = (
            "SELECT count(*) FROM labels WHERE model = ? AND state = 'unfit' AND id IN (SELECT value FROM json_each(?))"
        )
        (replaced,) = db.execute(query, (model, json.dumps(list(fresh)))).fetchone()
        count(db, model, {"unfit": -replaced})
        return fresh, repeated, contradicting, examples

    def _settle(
        self,
        db: sqlite3.Connection,
        model: str,
        label: Label,
        answers: Sequence[Answer],
        settings: CaptureSettings | None,
    ) -> tuple[str, str]:
        """Join a new label; its state, and why it does not fit."""
        if not answers:
            is_kept = settings is None or settings.keeps(label.request_id)
            return ("waiting" if is_kept else "not_captured"), ""
        reasons = [reason for answer in answers if (reason := pair(db, model, label, answer))]
        return ("joined", "") if len(reasons) < len(answers) else ("unfit", reasons[0])

    def _read_some(self, segment: Path, offsets: dict[str, int], most: int, hidden: frozenset[str]) -> int:
        """Read some lines of a segment; how many there were."""
        name = self._name(segment)
        offset = offsets.get(name, 0)
        try:
            if segment.stat().st_size <= offset:
                return 0
        except OSError:
            return 0
        found = list(islice(lines(segment, offset), most))
        if not found:
            return 0
        answers = [answer_of(kept, hidden) for line, _ in found if (kept := read_line(line)) is not None]
        with self._file.open("joining captures with labels") as db:
            offsets[name] = found[-1][1]
            if Read(name, offset, offsets[name]).advance(db):
                self._put(db, answers)
        return len(found)

    def _put(self, db: sqlite3.Connection, answers: Sequence[Answer]) -> None:
        """Keep answers, and join them with the labels that came before them."""
        fresh = [
            one
            for one in answers
            if db.execute("INSERT OR IGNORE INTO answers VALUES (?,?,?,?,?,?,?,?)", one.row).rowcount
        ]
        if not fresh:
            return
        model = fresh[0].ref.model
        query = "SELECT id, truth, state FROM labels WHERE model = ? AND id IN (SELECT value FROM json_each(?))"
        keys = json.dumps([answer.id for answer in fresh])
        labels = {
            key: (Label(key, tuple(json.loads(truth))), state) for key, truth, state in db.execute(query, (model, keys))
        }
        for answer in fresh:
            if answer.id not in labels:
                continue
            label, state = labels[answer.id]
            why = pair(db, model, label, answer)
            after = "joined" if not why or state == "joined" else "unfit"
            if after != state:
                labels[answer.id] = (label, after)
                db.execute(
                    "UPDATE labels SET state = ?, why = ? WHERE model = ? AND id = ?", (after, why, model, answer.id)
                )
                count(db, model, {state: -1, after: 1})


def _list(rows: Sequence[Any]) -> str:
    shown = ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in rows[:5])
    return shown if len(rows) <= 5 else f"{shown}, ..."
