"""Which versions may go, and which need not be made again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import BadInput
from pipelines.policy.retention import to_prune
from pipelines.policy.reuse import reusable
from pipelines.values import Alias, ModelVersion, Parameter, Provenance, Revision, Verdict, VersionRef

SAME = Provenance("notebook", "data", "lock", Revision("git", "abc"))


def version(
    number: int,
    verdict: Verdict | None = Verdict.PASS,
    *aliases: Alias,
    made_from: Provenance = SAME,
    **parameters: Parameter,
) -> ModelVersion:
    """A version of the model m."""
    return ModelVersion(
        VersionRef("m", number),
        "run",
        "models:/m",
        datetime(2026, 1, 1, tzinfo=UTC),
        parameters,
        verdict=verdict,
        aliases=frozenset(aliases),
        provenance=made_from,
    )


def pruned(versions: list[ModelVersion], keep: int) -> list[int]:
    """The numbers of those that may go."""
    return [found.ref.number for found in to_prune(versions, keep)]


def test_old_versions_go_the_oldest_first() -> None:
    """With nothing in use, all but the newest passed ones go."""
    assert pruned([version(number) for number in range(1, 8)], keep=3) == [1, 2, 3, 4]


def test_what_is_in_use_stays() -> None:
    """Champion and previous stay however old they are."""
    versions = [
        version(1, Verdict.PASS, Alias.CHAMPION),
        version(2, Verdict.PASS, Alias.PREVIOUS),
        version(3),
        version(4),
    ]
    assert pruned(versions, keep=0) == [3]


def test_the_latest_stays_with_and_without_its_alias() -> None:
    """The newest version stays even when it failed, and an alias that lags behind is honoured too."""
    assert pruned([version(1), version(2, Verdict.FAIL)], keep=0) == [1]
    assert pruned([version(1, None, Alias.LATEST), version(2, None), version(3, None)], keep=0) == [2]


def test_only_passed_versions_count_as_kept() -> None:
    """Failed, undecided and unjudged versions do not use up what is kept, and go."""
    versions = [
        version(1),
        version(2),
        version(3, Verdict.FAIL),
        version(4, None),
        version(5, Verdict.INCONCLUSIVE),
        version(6),
    ]
    assert pruned(versions, keep=2) == [1, 3, 4, 5]


def test_nothing_goes_of_nothing() -> None:
    """A model without versions has none to remove."""
    assert pruned([], keep=0) == []


def test_a_negative_number_is_refused() -> None:
    """It is not read as 'all but'."""
    with pytest.raises(BadInput, match="keep is -1"):
        to_prune([version(1)], -1)


@given(
    st.lists(st.tuples(st.sampled_from([*Verdict, None]), st.sets(st.sampled_from(list(Alias)))), max_size=12),
    st.integers(0, 5),
)
def test_what_goes_is_never_needed(facts: list[tuple[Verdict | None, set[Alias]]], keep: int) -> None:
    """For any history: nothing with an alias goes, nor the newest, nor the `keep` newest passed ones."""
    versions = [version(number, verdict, *aliases) for number, (verdict, aliases) in enumerate(facts, 1)]
    gone = to_prune(versions, keep)
    passed = [found for found in versions if found.verdict is Verdict.PASS]
    needed = [*versions[-1:], *(passed[-keep:] if keep else []), *(found for found in versions if found.aliases)]
    assert not {found.ref for found in gone} & {found.ref for found in needed}
    assert {found.ref for found in gone} | {found.ref for found in needed} == {found.ref for found in versions}


def test_the_newest_equal_version_is_reused() -> None:
    """Same code cells, data, environment and parameters: nothing to train."""
    found = reusable([version(1, epochs=3), version(3, epochs=3), version(2, epochs=3)], SAME, {"epochs": 3})
    assert found is not None
    assert found.ref.number == 3


@pytest.mark.parametrize(
    "made_from",
    [
        Provenance("other", "data", "lock"),
        Provenance("notebook", "other", "lock"),
        Provenance("notebook", "data", "other"),
        Provenance("notebook", "", "lock"),
    ],
)
def test_a_change_of_anything_it_is_made_from_trains_again(made_from: Provenance) -> None:
    """Notebook, data and environment each count."""
    assert reusable([version(1)], made_from, {}) is None


def test_the_code_revision_does_not_count() -> None:
    """A commit that changes none of what the training reads makes no new version."""
    other = Provenance("notebook", "data", "lock", Revision("git", "def", dirty=True))
    assert reusable([version(1)], other, {}) is not None


@pytest.mark.parametrize("parameters", [{}, {"epochs": 4}, {"epochs": 3.0}, {"epochs": 3, "more": 1}, {"epochs": "3"}])
def test_other_parameters_train_again(parameters: dict[str, Parameter]) -> None:
    """Another value, another type, one more or one less."""
    assert reusable([version(1, epochs=3)], SAME, parameters) is None


def test_true_is_not_one() -> None:
    """Python calls them equal, a notebook does not."""
    assert reusable([version(1, flag=1)], SAME, {"flag": True}) is None


def test_an_undigested_notebook_is_never_equal() -> None:
    """Two versions of which nothing is known are not the same."""
    assert reusable([version(1, made_from=Provenance())], Provenance(), {}) is None


def test_what_runs_stays() -> None:
    """A version that serves, or stands by, is never pruned, however old it is."""
    versions = [version(number) for number in range(1, 6)]
    gone = to_prune(versions, 0, frozenset({versions[1].ref}))
    assert versions[1].ref not in {old.ref for old in gone}
    assert versions[0].ref in {old.ref for old in gone}
