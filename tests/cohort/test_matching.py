"""Matched controls: what must hold of every match, and small cases by hand."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cairn.cohort.matching import match


def people(prefix: str, *rows: tuple[str, int | None]) -> list[dict[str, Any]]:
    return [{"person_id": f"{prefix}{n}", "sex": sex, "birth_year": year} for n, (sex, year) in enumerate(rows)]


def test_exact_columns_and_no_control_twice():
    cases = people("a", ("F", 1950), ("M", 1950))
    pool = people("p", ("F", 1950), ("M", 1951), ("F", 1950), ("F", None))
    assert {case for case, _ in match(cases, pool, ["sex", "birth_year"], 2, {}, "c/1")} == {"a0"}
    assert sorted(c for _, c in match(cases, pool, ["sex", "birth_year"], 2, {}, "c/1")) == ["p0", "p2"]


def test_the_nearest_within_the_caliper():
    cases = people("a", ("F", 1950))
    pool = people("p", ("F", 1953), ("F", 1951), ("F", 1949), ("F", 1940))
    assert {c for _, c in match(cases, pool, ["sex"], 2, {"birth_year": 3}, "c/1")} == {"p1", "p2"}
    assert len(match(cases, pool, ["sex"], 9, {"birth_year": 3}, "c/1")) == 3


def test_every_case_gets_one_before_any_gets_two():
    cases, pool = people("a", ("F", 1950), ("F", 1950)), people("p", ("F", 1950), ("F", 1950), ("F", 1950))
    counts = Counter(case for case, _ in match(cases, pool, ["sex"], 2, {}, "c/1"))
    assert sorted(counts.values()) == [1, 2]


def test_another_version_draws_others():
    cases, pool = people("a", ("F", 1950)), people("p", *[("F", 1950)] * 40)
    drawn = {match(cases, pool, ["sex"], 1, {}, f"c/{version}")[0][1] for version in range(12)}
    assert len(drawn) > 4


rows = st.lists(st.tuples(st.sampled_from("FM"), st.sampled_from([None, 1950, 1951, 1955, 1960])), max_size=9)


@given(rows, rows, st.integers(1, 3), st.sampled_from([{}, {"birth_year": 0}, {"birth_year": 4}]), st.randoms())
def test_what_holds_of_every_match(case_rows, pool_rows, per_case, caliper, random):
    cases, pool = people("a", *case_rows), people("p", *pool_rows)
    pairs = match(cases, pool, ["sex"], per_case, caliper, "c/1")
    by_name = {person["person_id"]: person for person in (*cases, *pool)}
    assert len({control for _, control in pairs}) == len(pairs)
    assert all(count <= per_case for count in Counter(case for case, _ in pairs).values())
    for case, control in pairs:
        assert by_name[case]["sex"] == by_name[control]["sex"]
        for column, limit in caliper.items():
            assert abs(by_name[case][column] - by_name[control][column]) <= limit
    random.shuffle(cases)
    random.shuffle(pool)
    assert sorted(match(cases, pool, ["sex"], per_case, caliper, "c/1")) == sorted(pairs)
