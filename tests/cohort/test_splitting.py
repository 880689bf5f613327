"""Balanced splits: shares within strata, stability under growth, no preference for a part."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.cohort.splitting import balanced_parts

SPLIT = {"train": 70, "validation": 15, "test": 15}
names = st.sets(st.text("abcdef", min_size=1, max_size=6), min_size=1, max_size=120)


def people(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number:05d}" for number in range(count)]


@pytest.mark.parametrize("count", [20, 100, 1000, 5000])
@pytest.mark.parametrize("stratum", ["F", "M", "older"])
def test_a_stratum_is_split_as_asked_but_for_two_persons(count: int, stratum: str):
    parts = Counter(balanced_parts(people(count), SPLIT, "c", stratum, {}).values())
    assert all(abs(parts[part] - count * share / 100) <= 2 for part, share in SPLIT.items())


@settings(max_examples=60)
@given(names, names)
def test_parts_stay_when_the_cohort_grows(before: set[str], more: set[str]):
    had = balanced_parts(before, SPLIT, "c", "F", {})
    has = balanced_parts(before | more, SPLIT, "c", "F", had)
    assert has.keys() == before | more and {person: has[person] for person in before} == had


def test_growing_in_steps_stays_balanced():
    parts: dict[str, str] = {}
    for step in range(1, 30):
        parts = balanced_parts(people(step * 37), SPLIT, "c", "F", parts)
        counted = Counter(parts.values())
        assert all(abs(counted[part] - len(parts) * share / 100) <= 3 for part, share in SPLIT.items())


@given(names, st.randoms())
@settings(max_examples=30)
def test_order_does_not_matter(listed: set[str], random):
    mixed = list(listed)
    random.shuffle(mixed)
    assert balanced_parts(mixed, SPLIT, "c", "F", {}) == balanced_parts(sorted(listed), SPLIT, "c", "F", {})


def test_who_is_alone_in_a_stratum_may_come_into_any_part():
    counted = Counter(balanced_parts(["x"], SPLIT, "c", f"s{n}", {})["x"] for n in range(2000))
    assert all(abs(counted[part] - 20 * share) < 80 for part, share in SPLIT.items())


def test_another_cohort_splits_otherwise():
    assert balanced_parts(people(50), SPLIT, "a", "F", {}) != balanced_parts(people(50), SPLIT, "b", "F", {})
