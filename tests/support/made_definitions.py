"""Small worlds of persons, stays and series, and definitions of cohorts over them that hypothesis makes."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.cohort.codelists import CodeList
from cairn.cohort.expression import All, Between, Compare, In, InCodes, IsNull, Not
from cairn.cohort.expression import Any as AnyTest
from cairn.cohort.model import Age, AnyOf, Cohort, Combination, Having, Images, Observed, Rows, Who
from cairn.cohort.window import Window

LISTS = {
    "stroke": CodeList("stroke", 1, "", ("I64",), ("I61", "I63")),
    "nsaid": CodeList("nsaid", 1, "", ("7",), (), (100,)),
}


def D(day: int) -> dt.date:
    return dt.date(2020, 1, 1) + dt.timedelta(days=day)


def person(
    name: str, born: dt.date | None = dt.date(1960, 2, 29), sex: str | None = "F", **more: Any
) -> dict[str, Any]:
    return {"person_id": name, "birth_date": born, "sex": sex, "registered_from": dt.date(2000, 1, 1), **more}


def stay(who: str | None, day: int | None, code: str | None, days: int | None = 3, **more: Any) -> dict[str, Any]:
    starts = None if day is None else D(day)
    ends = None if day is None or days is None else D(day + days)
    made = {"record_id": f"{who}.{day}.{code}", "person_id": who, "admission_date": starts, "discharge_date": ends}
    return {**made, "main_condition": code, "other_conditions": None, **more}


def scan(who: str, day: int, uid: str, modality: str = "CT", **more: Any) -> dict[str, Any]:
    keys = {
        "series_instance_uid": uid,
        "study_instance_uid": uid[0] if uid[0].isupper() else uid[:2],
        "person_id": who,
        "study_date": D(day),
    }
    return {**keys, "modality": modality, "localizer": False, "contrast": False, **more}


codes = st.sampled_from(["I639", "I64", "I61", "I10", "J449", None])
days = st.integers(-3, 12)
people = st.sampled_from(["a", "b", "c"])
births = st.sampled_from([None, dt.date(1950, 1, 3), dt.date(1990, 2, 28)])
sexes = st.sampled_from([None, "F", "M"])
ends = st.sampled_from([None, D(4), D(9)])


def one_person(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda born, sex, end: person(name, born, sex, registered_to=end), births, sexes, ends)


lists = st.none() | st.lists(codes.filter(bool), max_size=2)
stays = st.builds(stay, people, days | st.none(), codes, st.sampled_from([None, 0, 5]), other_conditions=lists)
scan_rows = st.tuples(people, days, st.sampled_from(["CT", "MR"]), st.sampled_from([None, 1.0, 3.0]))


def _scans(rows: list[tuple[str, int, str, float | None]]) -> list[dict[str, Any]]:
    return [scan(who, day, f"{who}{n % 2}{n}", kind, slice_thickness=t) for n, (who, day, kind, t) in enumerate(rows)]


worlds = st.fixed_dictionaries(
    {
        "person": st.tuples(*[one_person(name) for name in "abc"]),
        "smr01": st.lists(stays, max_size=8),
        "series": st.lists(scan_rows, max_size=6).map(_scans),
    }
)
simple = st.one_of(
    st.builds(Compare, st.just("main_condition"), st.sampled_from(["=", "!="]), st.sampled_from(["I64", "I10"])),
    st.builds(Compare, st.just("main_condition"), st.just("like"), st.sampled_from(["I6%", "_64", "%4%"])),
    st.builds(Compare, st.just("admission_date"), st.sampled_from(["<", "<=", ">", ">="]), days.map(D)),
    st.builds(lambda a, b: Between("admission_date", D(min(a, b)), D(max(a, b))), days, days),
    st.just(InCodes("main_condition", "stroke")),
    st.just(InCodes("other_conditions", "stroke")),
    st.just(In("other_conditions", ("I10", "J449"))),
    st.sampled_from(["main_condition", "other_conditions", "discharge_date"]).map(IsNull),
)
conditions = st.recursive(
    simple,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: AnyTest(tuple(parts))),
    ),
    max_leaves=4,
)


def windows(anchor: str) -> st.SearchStrategy[Window]:
    spans = st.tuples(st.integers(-9, 9), st.integers(-9, 9)).map(sorted)
    return st.one_of(
        spans.map(lambda span: Window(anchor, span[0], span[1])),
        st.sampled_from([Window(anchor, None, -1), Window(anchor, 1, None), Window(anchor, during=True)]),
    )


some_set = st.sampled_from(["one", "two", "three", "scans"])
tests = st.one_of(
    st.builds(Having, some_set, within=st.none() | windows("x"), at_least=st.integers(1, 2), negated=st.booleans()),
    st.builds(Age, st.just("x"), st.sampled_from([0, 29, 30, 70]), st.sampled_from([70, 90])),
    st.builds(lambda a, b: Observed(Window("x", min(a, b), max(a, b))), days, days),
    st.sampled_from(["M", "F"]).map(lambda sex: Who(Compare("sex", "=", sex))),
)
further = st.lists(
    st.one_of(tests, st.lists(tests, min_size=2, max_size=2).map(lambda parts: AnyOf(tuple(parts)))), max_size=2
)


@st.composite
def cohorts(draw: st.DrawFn) -> Cohort:
    three = st.one_of(
        st.builds(Combination, st.sampled_from(["union", "intersect", "except"]), st.just(("one", "two"))),
        st.builds(Rows, st.just("two"), conditions, st.none() | windows("one")),
    )
    sets = {
        "one": Rows("smr01", draw(conditions)),
        "two": Rows("smr01", draw(conditions)),
        "three": draw(three),
        "scans": Rows("series", draw(st.sampled_from([Compare("modality", "=", "CT"), IsNull("kvp")]))),
    }
    first = draw(st.builds(Having, some_set, st.sampled_from([1, 2, -1]), st.just("x"), at_least=st.integers(1, 2)))
    second = draw(st.none() | st.builds(Having, some_set, st.sampled_from([1, -1]), st.just("y"), windows("x")))
    picks = st.sampled_from(["all", "first", "last", "nearest", "best"])
    images = None
    if draw(st.booleans()):
        pick = draw(picks)
        order = (("slice_thickness", draw(st.booleans())),) if pick == "best" else ()
        images = Images(
            "scans", draw(st.none() | windows("x")), pick, draw(st.sampled_from(["person", "study"])), order
        )
    rules = [first, *([second] if second else []), *draw(further)]
    split = draw(st.sampled_from([{}, {"train": 60, "test": 40}]))
    return Cohort("t", 1, "", sets, tuple(rules), images, split=split)


def made_cohorts(count: int) -> list[Cohort]:
    """Return so many definitions: the same in every run, unless new ones are searched for."""
    found: list[Cohort] = []

    @settings(max_examples=count, database=None)
    @given(cohorts())
    def collect(cohort: Cohort) -> None:
        found.append(cohort)

    collect()
    return found
