"""The watch for drift: seldom alarmed without any, soon when there is some, and about what."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import binom, chi2, fisher_exact

from benchmarks import drift as simulated
from pipelines.errors import BadInput
from pipelines.policy.drift import difference, follow, holm, judge
from pipelines.policy.drift_bins import Values, make_bins, tally
from pipelines.policy.drift_features import CONFIDENCE, PREDICTION, make_reference, tally_answers, tally_rows
from pipelines.values import Field, Layout, Signature
from pipelines.values.drift import Bins, DriftSettings, Finding, Reference, Standing

LEVEL = DriftSettings().alpha
RNG = np.random.default_rng


def found(before: Values, after: Values, **settings: float) -> Finding:
    """One feature of a reference and of a window."""
    bins = make_bins("x", before)
    (finding,) = judge(Reference((bins,)), {"x": tally(bins, after)}, DriftSettings(**settings))
    return finding


@pytest.mark.parametrize("rows", simulated.SIZES)
def test_a_window_without_drift_is_seldom_alarmed_about(rows: int) -> None:
    """Of all kinds of features, 64 at a time, with a reference of a few hundred rows: not above the stated level.

    The short form; `python -m benchmarks.drift` has 1,000 windows of each kind.
    """
    rng, windows = RNG(rows), 12
    counts = [simulated.clean(draw, rng, simulated.REFERENCE, rows, windows) for draw in simulated.KINDS.values()]
    alarms, total = sum(one.found for one in counts), windows * len(counts)
    assert alarms <= binom.ppf(0.999, total, LEVEL)


def test_the_customary_index_would_be_alarmed() -> None:
    """The windows above are hard enough: an index of 0.2 is exceeded in nearly all of 100 rows, without any drift."""
    count = simulated.clean(simulated.normal, RNG(7), simulated.REFERENCE, 100, 20)
    assert count.customary >= 18
    assert count.found <= 2


def test_half_a_standard_deviation_is_found_within_1000_rows() -> None:
    """In one of 64 features, in 99 of 100 windows, with a reference of a few hundred rows."""
    found = simulated.shifted(simulated.normal, RNG(3), simulated.REFERENCE, 1000, 40, by=0.5)
    assert found.found >= binom.ppf(0.001, 40, 0.99)


@pytest.mark.parametrize("groups", [3, 5, 10])
def test_the_p_values_are_uniform_where_nothing_has_changed(groups: int) -> None:
    """So that a level means what it says: one test in a hundred is below 0.01, up to three standard errors."""
    rng, tests = RNG(groups), 3000
    values = rng.normal(size=(tests, 300))
    bins = [make_bins("x", row[:150][: 15 * groups]) for row in values]
    ps = [difference(one, tally(one, row[150:]), 0.01).p for one, row in zip(bins, values, strict=True)]
    for level in (0.05, 0.01):
        share = float((np.array(ps) <= level).mean())
        assert share <= level + 3 * np.sqrt(level * (1 - level) / tests)


def test_a_change_of_shape_alone_is_found() -> None:
    """The mean stays, the spread doubles."""
    one = found(RNG(1).normal(size=500), RNG(2).normal(scale=2.0, size=500))
    assert one.is_drift
    assert one.moved is not None
    assert abs(one.moved) < 0.2


def test_it_says_how_far_a_feature_has_moved() -> None:
    """In standard deviations, and which way."""
    one = found(RNG(1).normal(size=5000), RNG(2).normal(-0.5, size=5000))
    assert one.moved == pytest.approx(-0.5, abs=0.06)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (np.full(360, 7.0), np.r_[np.full(450, 7.0), np.full(50, 8.0)]),
        (np.full(360, 7.0), np.r_[np.full(450, 7.0), np.full(50, 6.0)]),
        (RNG(1).normal(size=360), np.r_[RNG(2).normal(size=440), np.full(60, np.nan)]),
        (["a", "b"] * 180, ["a", "b"] * 220 + ["c"] * 60),
        (["a", "b"] * 180, ["a", "b"] * 220 + [None] * 60),
    ],
    ids=["above a constant", "below a constant", "missing numbers", "a name never seen", "missing names"],
)
def test_what_the_reference_never_had_is_found(before: Values, after: Values) -> None:
    """A tenth of the rows."""
    assert found(before, after).is_drift


def test_a_column_of_names_that_never_come_twice_does_not_drift() -> None:
    """Such as an id: each window has none of the reference's."""
    before, after = [f"a{number}" for number in range(360)], [f"b{number}" for number in range(2000)]
    assert not found(before, after).is_drift


def test_sure_but_small_is_no_drift() -> None:
    """A seventh of a standard deviation, in so many rows that nobody could doubt it."""
    one = found(RNG(1).normal(size=10_000), RNG(2).normal(0.15, size=100_000))
    assert one.p < 0.001
    assert not one.is_drift
    assert found(RNG(1).normal(size=10_000), RNG(2).normal(0.15, size=100_000), min_psi=0.01).is_drift


def test_the_threshold_knows_the_number_of_rows() -> None:
    """Chance reaches a higher index with fewer rows, so that more is asked for."""
    few = found(RNG(1).normal(size=360), RNG(2).normal(size=100))
    many = found(RNG(1).normal(size=360), RNG(2).normal(size=5000))
    assert few.threshold > 2 * many.threshold >= 0.2


def test_few_rows_are_compared_in_few_bins() -> None:
    """Of 60 rows at least 15 are to be expected in each: three of ten bins are left, and two degrees of freedom."""
    one = found(np.linspace(0, 1, 360), np.linspace(0, 1, 60), min_psi=0.0)
    assert one.threshold == pytest.approx(chi2.isf(LEVEL / 3, 2) * (1 / 60 + 1 / 360))


def test_two_bins_are_compared_exactly() -> None:
    """As Fisher's test does; its two-sided form here doubles the smaller tail, which is never less."""
    bins = make_bins("x", np.r_[np.zeros(340), np.ones(20)])
    seen = tally(bins, np.r_[np.zeros(90), np.ones(10)])
    greater = fisher_exact([[10, 90], [20, 340]], alternative="greater").pvalue
    assert difference(bins, seen, 0.01).p == pytest.approx(3 * 2 * greater)


def test_holm_corrects_for_the_number() -> None:
    """The smallest by all, the next by one less; never beyond 1, and in the same order."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_one_window_raises_no_alarm_and_two_do() -> None:
    """One in a hundred is to be expected to be wrong; the next says the same only where there is something."""
    once = follow(Standing(), ["x"])
    assert once == Standing(("x",), ())
    assert follow(once, ["y"]) == Standing(("y",), ())
    assert follow(once, ["x", "y"]).drifting == ("x",)


def test_a_drift_ends_when_two_windows_find_nothing() -> None:
    """A single quiet one does not end it."""
    drifts = Standing(("x",), ("x",))
    quiet = follow(drifts, [])
    assert quiet.drifting == ("x",)
    assert follow(quiet, []).drifting == ()
    assert follow(quiet, ["x"]).drifting == ("x",)


def test_an_empty_window_says_nothing() -> None:
    """Neither do features that its rows do not have."""
    bins = make_bins("x", RNG(1).normal(size=100))
    assert judge(Reference((bins,)), {}, DriftSettings()) == ()
    assert judge(Reference((bins,)), {"x": tally(bins, np.array([]))}, DriftSettings()) == ()


TABLE = Signature(
    Layout.RECORDS,
    inputs=(
        Field("age", "float32", required=False),
        Field("job", "string"),
        Field("member", "bool", required=False),
        Field("born", "datetime"),
        Field("picture", "float32", (8, 8, 1)),
    ),
    outputs=(Field("label", "string"), Field("probabilities", "float32", (2,))),
)


def table(rows: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Validation rows and answers of it."""
    rng = RNG(rows)
    yes = rng.random(rows).astype(np.float32)
    inputs = {
        "age": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(40, 9, rows)).astype(np.float32),
        "job": np.array(["cook", "clerk"], dtype=object)[rng.integers(0, 2, rows)],
        "member": np.array([True, False, None], dtype=object)[rng.integers(0, 3, rows)],
        "born": np.full(rows, np.datetime64("2000-01-01")),
        "picture": rng.random((rows, 8, 8, 1)).astype(np.float32),
    }
    answers = {
        "label": np.array(["no", "yes"], dtype=object)[(yes > 0.5).astype(int)],
        "probabilities": np.stack([1 - yes, yes], axis=1),
    }
    return inputs, answers


def as_sent(inputs: dict[str, np.ndarray]) -> list[dict[str, object]]:
    """The same rows as the JSON of a request: shorter numbers, a missing value null or no key at all."""
    rows = []
    for place in range(len(inputs["job"])):
        row = {
            "job": inputs["job"][place],
            "member": inputs["member"][place],
            "born": "2000-01-01",
            "picture": [[[float(str(one)) for one in cell] for cell in line] for line in inputs["picture"][place]],
        }
        age = inputs["age"][place]
        rows.append({**row, "age": None if np.isnan(age) else float(str(age))})
    return json.loads(json.dumps(rows))


def test_rows_of_requests_fall_into_the_bins_of_the_same_validation_rows() -> None:
    """Each feature of each type, though the one comes as arrays and the other as shorter numbers in JSON."""
    inputs, answers = table(200)
    reference = make_reference(TABLE, inputs, answers)
    counted = tally_rows(reference, TABLE, as_sent(inputs))
    assert [bins.name for bins in reference.inputs] == list(counted)
    assert {"age", "job", "member", "picture: mean", "picture: roughness"} <= set(counted)
    assert all(counted[bins.name][:-1] == bins.counts for bins in reference.inputs)
    said = [{"label": a, "probabilities": b} for a, b in zip(*(v.tolist() for v in answers.values()), strict=True)]
    spoken = tally_answers(reference, [json.loads(json.dumps(one)) for one in said])
    assert {bins.name: bins.counts for bins in reference.answers} == {name: one[:-1] for name, one in spoken.items()}
    assert list(spoken) == [PREDICTION, CONFIDENCE]


def test_a_time_is_left_out_and_said_to_be() -> None:
    """It always moves on, and would always have drifted."""
    assert "'born'" in make_reference(TABLE, *table(50)).left_out[0]


def test_what_is_not_kept_is_left_out() -> None:
    """A field taken out of the captures, or hashed, is no drift."""
    inputs, answers = table(100)
    reference = make_reference(TABLE, inputs, answers)
    rows = as_sent(inputs)
    for row in rows:
        del row["job"]
        row["age"] = "9f86d081884c7d65"
    assert {"job", "age"}.isdisjoint(tally_rows(reference, TABLE, rows))
    assert {"member"}.isdisjoint(tally_rows(reference, TABLE, rows, hidden=["member"]))


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        (lambda image: image * 0.5, "image: mean"),
        (lambda image: np.clip(image + 0.3, 0, 1), "image: share of its highest"),
        (lambda image: np.full_like(image, 1.0) * image.mean(axis=(1, 2, 3), keepdims=True), "image: spread"),
    ],
    ids=["darker", "overexposed", "blurred"],
)
def test_a_changed_camera_is_found(change: object, feature: str) -> None:
    """In the summary of an image."""
    signature = Signature(Layout.TENSOR, (Field("image", "float32", (8, 8, 1)),), (Field("y", "float32"),))
    before, after = RNG(1).random((360, 8, 8, 1)), RNG(2).random((500, 8, 8, 1))
    reference = make_reference(signature, {"image": before}, {"y": np.zeros(360, np.float32)})
    assert callable(change)
    findings = judge(reference, tally_rows(reference, signature, change(after).tolist()), DriftSettings())
    assert feature in [one.feature for one in findings if one.is_drift]
    same = judge(reference, tally_rows(reference, signature, after.tolist()), DriftSettings())
    assert not any(one.is_drift for one in same)


def test_a_short_list_is_told_number_by_number_and_a_long_one_in_summary() -> None:
    """64 numbers have a name each, 1,000 have not."""
    for size, features in ((64, 64), (1000, 7)):
        signature = Signature(Layout.TENSOR, (Field("x", "float32", (size,)),), (Field("y", "float32"),))
        rows = RNG(1).random((30, size)).astype(np.float32)
        reference = make_reference(signature, {"x": rows}, {"y": np.zeros(30, np.float32)})
        assert len(reference.inputs) == features


def test_a_reference_is_bounded() -> None:
    """However many columns there are, and it is said that some are left out."""
    fields = tuple(Field(f"c{number}", "float64") for number in range(400))
    signature = Signature(Layout.RECORDS, fields, (Field("y", "float32"),))
    rows = {field.name: RNG(1).random(2000) for field in fields}
    reference = make_reference(signature, rows, {"y": np.zeros(2000, np.float32)})
    assert len(reference.inputs) == 256
    assert "more than 256" in reference.left_out[0]
    assert len(json.dumps(reference.as_dict())) < 200_000


def test_a_reference_survives_json() -> None:
    """All of it."""
    reference = make_reference(TABLE, *table(100))
    assert Reference.from_dict(json.loads(json.dumps(reference.as_dict()))) == reference


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {},
        {"schema": 99, "inputs": [], "answers": [], "left_out": []},
        {"schema": 1, "inputs": [{"name": "x"}], "answers": [], "left_out": []},
        {
            "schema": 1,
            "inputs": [{"name": "x", "kind": "number", "counts": [1], "rest": 0, "ends": [1, 0]}],
            "answers": [],
            "left_out": [],
        },
    ],
)
def test_what_is_no_reference_is_refused(broken: object) -> None:
    """With one clear error, whatever it is."""
    with pytest.raises(BadInput):
        Reference.from_dict(broken)


def test_numbers_without_ties_have_bins_of_as_many_rows() -> None:
    """Ten of them, fewer where the reference is small."""

    def sizes(rows: int) -> Sequence[int]:
        bins: Bins = make_bins("x", RNG(1).normal(size=rows))
        return bins.counts[:-1]

    assert sizes(500) == (50,) * 10
    assert sizes(60) == (15,) * 4
    assert sizes(21) == (21,)
