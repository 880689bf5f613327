"""What may be shown, and what an attacker makes of one answer."""

import itertools

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
