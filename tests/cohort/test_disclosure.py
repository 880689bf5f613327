"""What may be shown, and what an attacker makes of one answer."""

import hashlib
import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.cohort.disclosure import attrition, shown, table


@pytest.mark.parametrize(
    ("count", "seen"), [(0, None), (1, None), (10, None), (11, 10), (14, 10), (15, 20), (104, 100), (105, 110)]
)
def test_one_count(count: int, seen: int | None):
    assert shown(count) == seen


# persons left, as shown
STEPS = [
    ([1000, 500, 494, 480], [1000, 500, 500, 480]),
    ([1000, 996, 992, 988], [1000, 1000, 1000, 990]),
    ([100, 9, 0], [100, None, None]),
    ([5], [None]),
    ([], []),
]


@pytest.mark.parametrize(("counts", "seen"), STEPS)
def test_attrition(counts: list[int], seen: list[int | None]):
    assert attrition(counts) == seen


falling = st.lists(st.integers(0, 300), min_size=2, max_size=8).map(lambda counts: sorted(counts, reverse=True))


@given(falling)
def test_rows_that_are_shown_apart_stand_for_counts_more_than_the_limit_apart(counts: list[int]):
    seen = attrition(counts)
    # A row shows the first count of its run: one that lost few is shown as that.
    stands: dict[int, int] = {}
    for count, value in zip(counts, seen, strict=True):
        if value is not None:
            stands.setdefault(value, count)
            assert count > 10 and stands[value] - count <= 10
    apart = list(stands.values())
    assert all(high - low > 10 for high, low in itertools.pairwise(apart))
    assert all((value is None) == (count <= 10) for count, value in zip(counts, seen, strict=True))


grids = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(st.integers(0, 60), min_size=width, max_size=width), min_size=1, max_size=5)
)


@given(grids)
def test_no_line_of_a_table_hides_one_cell_alone(cells: list[list[int]]):
    seen = table(cells)
    for line in (*seen, *([row[c] for row in seen] for c in range(len(seen[0])))):
        assert len(line) == 1 or line.count(None) != 1
    assert all(
        s is None or count > 10
        for row, line in zip(cells, seen, strict=True)
        for count, s in zip(row, line, strict=True)
    )


def test_secondary_suppression_takes_the_smallest_other_cell():
    assert table([[3, 50, 20], [40, 60, 70]]) == [[None, 50, None], [None, 60, None]]
    assert table([[30, 50], [40, 60]]) == [[30, 50], [40, 60]]


def _keyed(people: list[str]) -> str:
    """Return a key of a set as the pipelines make it: the same whatever the order."""
    key = 0
    for one in people:
        key ^= int(hashlib.sha256(one.encode()).hexdigest()[:16], 16)
    return str(key)


@given(st.integers(11, 400), st.integers(0, 50))
def test_a_keyed_count_is_rounded_to_a_neighbour_and_always_alike(count: int, key: int):
    seen = shown(count, key=key)
    assert seen == shown(count, key=key)
    assert seen is None or (seen % 10 == 0 and abs(seen - count) < 10 and seen > 10)
    assert seen is not None or count < 20


def test_keyed_rounding_is_true_on_average():
    seen = [shown(127, key=key) for key in range(2000)]
    assert set(seen) == {120, 130}
    assert abs(sum(seen) / 2000 - 127) < 0.5


@given(falling, st.integers(0, 99))
def test_a_keyed_attrition_falls_and_tells_no_small_loss(counts: list[int], seed: int):
    # A set has one key: equal counts of nested sets are equal sets.
    seen = attrition(counts, keys=[f"{seed}/{count}" for count in counts])
    known = [value for value in seen if value is not None]
    assert known == sorted(known, reverse=True)
    assert seen[len(known) :] == [None] * (len(seen) - len(known))
    assert all(value is None for count, value in zip(counts, seen, strict=True) if count <= 10)
    first = {value: count for count, value in reversed(list(zip(counts, seen, strict=True)))}
    apart = [count for value, count in sorted(first.items(), key=lambda one: one[0] or 0, reverse=True) if value]
    assert all(high - low > 10 for high, low in itertools.pairwise(apart))


def _attack(small: int, questions: int, seed: int, keyed: bool) -> int:
    """Return what someone learns of a small group who counts growing sets with the group and without."""
    others = [f"{seed}/other{number}" for number in range(40 + questions)]
    group = [f"{seed}/group{number}" for number in range(small)]

    def answer(people: list[str]) -> int:
        return shown(len(people), key=_keyed(people) if keyed else None) or 0

    gained = [answer(others[: 40 + n] + group) - answer(others[: 40 + n]) for n in range(questions)]
    return round(sum(gained) / questions)


@pytest.mark.parametrize("questions", [10, 20, 30])
def test_overlapping_questions_tell_a_small_group_by_plain_rounding_only(questions: int):
    cases = [(small, seed) for small in range(1, 11) for seed in range(20)]
    told = {
        keyed: sum(_attack(small, questions, seed, keyed) == small for small, seed in cases) / len(cases)
        for keyed in (False, True)
    }
    assert told[False] == 1
    assert told[True] < 0.45


def test_where_a_count_begins_to_be_shown_does_not_tell_a_small_group():
    def first_shown(seed: int, small: int) -> int:
        people = [f"{seed}/{number}" for number in range(60)]
        return next(n for n in range(40) if shown(n + small, key=_keyed(people[: n + small])) is not None)

    begins = Counter(first_shown(seed, 3) for seed in range(200))
    assert max(begins.values()) < 80 and len(begins) > 4
