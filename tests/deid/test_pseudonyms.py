"""Pseudonyms: stable, keyed, and safe to print."""

from __future__ import annotations

import datetime
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.deid.keys import MasterKey, Purpose
from cairn.deid.pseudonyms import Pseudonyms, pseudonymise_person, pseudonymise_uid, shift_date, shift_days

ONE = MasterKey("site", bytes(range(1, 33)))
TWO = MasterKey("site", bytes(range(2, 34)))
PROJECT = MasterKey("heart", bytes(range(3, 35)))
uids = st.from_regex(r"\A[1-2](\.[1-9][0-9]{0,9}){3,5}\Z")


@given(uids)
def test_a_new_uid_is_valid_and_keyed(uid: str):
    made = pseudonymise_uid(uid, ONE.sub_key(Purpose.UID))
    assert re.fullmatch(r"2\.25\.(0|[1-9][0-9]{0,38})", made)
    assert int(made[5:]) < 2**128
    assert made == pseudonymise_uid(f" {uid}\0", ONE.sub_key(Purpose.UID))
    assert made != pseudonymise_uid(uid, TWO.sub_key(Purpose.UID))


@given(st.text(min_size=1))
def test_a_person_id_cannot_be_taken_for_a_number(person: str):
    made = pseudonymise_person(person, ONE.sub_key(Purpose.PERSON))
    assert re.fullmatch("[a-z2-7]{32}", made)
    assert made != pseudonymise_person(person, TWO.sub_key(Purpose.PERSON))


@given(st.text(), st.integers(1, 1000))
def test_a_shift_is_within_its_limit_and_never_nothing(person: str, limit: int):
    days = shift_days(person, ONE.sub_key(Purpose.DATE), limit)
    assert days != 0 and -limit <= days <= limit


def test_shifts_reach_every_day_both_ways():
    key = ONE.sub_key(Purpose.DATE)
    assert {shift_days(str(i), key, 3) for i in range(400)} == {-3, -2, -1, 1, 2, 3}
    with pytest.raises(ValueError):
        shift_days("x", key, 0)


@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1)), st.dates(), st.integers(-1000, 1000))
def test_intervals_survive(one: datetime.date, other: datetime.date, days: int):
    moved, also = shift_date(one, days), shift_date(other, days)
    if moved and also:
        assert moved - also == one - other


def test_the_calendar_ends():
    assert shift_date(datetime.date.max, 1) is None
    assert shift_date(datetime.date.min, -1) is None


def test_a_project_shares_nothing_with_the_site_nor_with_another_project():
    other = MasterKey("lung", bytes(range(4, 36)))
    all_of_them = [Pseudonyms(k) for k in ([ONE], [ONE, PROJECT], [ONE, other], [TWO], [TWO, PROJECT])]
    people = [f"person {i}" for i in range(50)]
    for name in ("uid", "person"):
        made = [{getattr(p, name)(person) for person in people} for p in all_of_them]
        assert len(set.union(*made)) == len(people) * len(all_of_them)
    shifts = [tuple(p.days(person) for person in people) for p in all_of_them]
    assert len(set(shifts)) == len(shifts)
    assert all(day != 0 for days in shifts for day in days)


def test_pseudonyms_are_what_they_were_when_this_was_released():
    """Fixed: a change of these would cut every table and file off from those made before."""
    made = Pseudonyms([ONE])
    assert made.uid("1.2.3") == "2.25.76702602488110676149074346148612873170"
    assert made.person("0101011234") == "kprtits46s33owidkr3lzbmhh2uvvjbr"
    assert made.days("0101011234") == 359


def test_pseudonyms_do_not_travel():
    with pytest.raises(TypeError):
        pickle.dumps(Pseudonyms([ONE]))
