"""Bounds in Delta's log are true: never above the smallest value, never below the greatest."""

import datetime
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.spark.statistics import LAST_CHARACTER, FileStatistics, truncated_maximum
from cairn.tables.contract import Column, Contract

MOMENT = pa.timestamp("us", tz="UTC")
KINDS = {"text": pa.string(), "whole": pa.int64(), "real": pa.float64(), "day": pa.date32(), "moment": MOMENT}
CONTRACT = Contract(
    "identifiable",
    "probe",
    "one row",
    ("uri",),
    (Column("uri", pa.string(), "Key."), *(Column(name, kind, "Probe.") for name, kind in KINDS.items())),
    "Probe.",
    statistics=tuple(KINDS),
)


def stats(name, *groups):
    statistics = FileStatistics(CONTRACT)
    for values in groups:
        columns = {other: pa.nulls(len(values), kind) for other, kind in KINDS.items()}
        columns |= {"uri": pa.array(["u"] * len(values)), name: pa.array(values, KINDS[name])}
        statistics.add(pa.table(columns))
    return json.loads(statistics.as_json())


def bounds(name, *groups):
    made = stats(name, *groups)
    return made["minValues"].get(name), made["maxValues"].get(name)


text = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from(["a", LAST_CHARACTER])), max_size=80)


@given(text)
def test_a_truncated_maximum_never_sorts_before_the_text(value):
    short = truncated_maximum(value)
    assert short.encode() >= value.encode()
    assert len(short) <= max(33, len(value))


@given(st.lists(st.lists(st.one_of(st.none(), text), max_size=4), min_size=1, max_size=3))
def test_string_bounds_hold_for_every_value(groups):
    made = stats("text", *groups)
    values = [value.encode() for group in groups for value in group if value is not None]
    assert made["numRecords"] == sum(map(len, groups))
    assert made["nullCount"]["text"] == sum(map(len, groups)) - len(values)
    assert ("text" in made["minValues"]) == bool(values)
    if values:
        assert made["minValues"]["text"].encode() <= min(values)
        assert made["maxValues"]["text"].encode() >= max(values)


moments = st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30), timezones=st.just(datetime.UTC))


@given(st.lists(moments, min_size=1))
def test_bounds_of_moments_are_rounded_outwards(values):
    low, high = (datetime.datetime.fromisoformat(text) for text in bounds("moment", values))
    assert low <= min(values) and high >= max(values)
    assert (high - max(values)) < datetime.timedelta(milliseconds=1) > (min(values) - low)


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("whole", [3, None, -(2**63), 2**63 - 1], (-(2**63), 2**63 - 1)),
        ("real", [1.5, -2.0], (-2.0, 1.5)),
        ("real", [1.5, float("nan")], (None, None)),  # NaN is Spark's greatest number, and JSON has none
        ("real", [1.5, float("inf")], (None, None)),
        ("day", [datetime.date(2020, 2, 29), datetime.date(1582, 10, 1)], ("1582-10-01", "2020-02-29")),
        ("day", [None], (None, None)),
        ("text", [], (None, None)),
    ],
)
def test_bounds(name, values, wanted):
    assert bounds(name, values) == wanted


def test_a_group_without_bounds_takes_them_from_the_whole_file():
    assert bounds("real", [1.0], [float("nan")], [0.5]) == (None, None)


def test_days_that_json_cannot_say_have_no_bounds():
    day = pa.array([5_000_000], pa.int32()).cast(pa.date32())  # the year 15659
    assert bounds("day", day) == (None, None)
