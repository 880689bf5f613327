"""What may be shown, and what an attacker makes of one answer."""

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
def test_rows_that_are_shown_apart_are_more_than_the_limit_apart(counts: list[int]):
    seen = attrition(counts)
    for first in range(len(counts)):
        for second in range(first + 1, len(counts)):
            if seen[first] is not None and seen[second] is not None and seen[first] != seen[second]:
                assert counts[first] - counts[second] > 0
                # The least loss that fits what is shown, steps of few persons being merged, is above the limit or 0.
                standing = [c for c, s in zip(counts, seen, strict=True) if s == seen[second]]
                assert counts[first] - min(standing) > 10 or len(standing) > 1
    assert all(count > 10 for count, s in zip(counts, seen, strict=True) if s is not None)


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
