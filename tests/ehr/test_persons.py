"""Persons out of the register and the deaths."""

import datetime as dt
from typing import Any

from cairn.ehr.persons import person_rows


def record(chi: str, board: str = "T", **more: Any) -> dict[str, Any]:
    usual = dict.fromkeys(
        ("sex", "birth_date", "death_date", "simd_quintile", "address_changed", "registered_from", "registered_to")
    )
    return {"patient_id": chi, "board": board, "current_record": True, "opted_out": False, **usual, **more}


def day(number: int) -> dt.date:
    return dt.date(2020, 1, number)


def test_boards_records_of_a_person_become_one():
    rows = [
        record(
            "1",
            "T",
            sex=None,
            current_record=True,
            address_changed=day(2),
            registered_from=day(1),
            registered_to=day(9),
        ),
        record("1", "F", sex="F", current_record=True, address_changed=day(5), registered_from=day(4)),
        record(
            "1",
            "A",
            sex="M",
            current_record=False,
            address_changed=day(8),
            registered_from=day(7),
            registered_to=day(8),
        ),
    ]
    for order in (rows, rows[::-1]):
        (made,) = person_rows(order, [], {})
        assert (made["board"], made["sex"], made["registered_from"], made["registered_to"]) == ("F", "F", day(1), None)


def test_closed_registrations_end_with_the_last():
    rows = [record("1", "T", registered_to=day(3)), record("1", "F", registered_to=day(9))]
    assert person_rows(rows, [], {})[0]["registered_to"] == day(9)


def test_replaced_numbers_are_no_persons_but_count():
    rows = [record("old", sex="M", opted_out=True, birth_date=day(1)), record("new", sex="F")]
    deaths = [{"patient_id": "old", "death_date": day(7), "underlying_cause": "I639"}]
    (made,) = person_rows(rows, deaths, {"old": "new"})
    assert (made["patient_id"], made["sex"], made["birth_date"]) == ("new", "F", day(1))
    assert (made["opted_out"], made["death_basis"], made["underlying_cause"]) == (True, "nrs", "I639")


def test_nrs_goes_before_the_register():
    rows = [record("1", death_date=day(3)), record("2", death_date=day(4)), record("3")]
    deaths = [{"patient_id": "1", "death_date": day(2), "underlying_cause": "I10"}]
    made = [(row["death_date"], row["death_basis"]) for row in person_rows(rows, deaths, {})]
    assert made == [(day(2), "nrs"), (day(4), "chi_register"), (None, None)]
