"""Writes made-up histories as extracts arrive: every layout, two deliveries, late, corrected, repeated and bad rows.

Files lie in ``OUT/ehr/<mapping>/<date of delivery>.csv``; the mapping of that name in ``conf/ehr`` reads them. What
a loader must find is counted while they are written.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cairn.ehr.chi import is_chi
from cairn.synthetic.draws import Draws
from cairn.synthetic.histories import Event, History

DELIVERIES = (dt.date(2025, 3, 31), dt.date(2025, 6, 30))
Row = dict[str, str]
_REGIONS = {"G": "glasgow", "S": "lothian", "N": "grampian"}
_SPECIALTIES = ("A1", "C8", "G1", "E12")
REPLACED_IN = dt.date(2016, 1, 1)


def _warehouse(day: dt.date | None) -> str:
    return f"{day:%Y/%m/%d} 00:00:00" if day else ""


def _chi(history: History, day: dt.date) -> str:
    """Return the number under which the person was known then."""
    person = history.person
    return person.previous_chi if person.previous_chi and day < REPLACED_IN else person.chi


def _stay(history: History, event: Event) -> Row:
    person = history.person
    return {
        "LINK_NO": f"{person.index + 1:010d}",
        "UPI_NUMBER": _chi(history, event.day),
        "CIS_MARKER": str(event.number + 1),
        "URI": f"{person.index:07d}{event.number:03d}",
        "ADMISSION_DATE": _warehouse(event.day),
        "DISCHARGE_DATE": _warehouse(event.until),
        "ADMISSION_TYPE": "33",
        "SPECIALTY": _SPECIALTIES[event.number % len(_SPECIALTIES)],
        "LOCATION": person.hospital,
        "MAIN_CONDITION": event.code,
        "DR_POSTCODE": person.postcode,
    }


def _smr00(history: History, event: Event) -> Row:
    return {
        "UPI_NUMBER": _chi(history, event.day),
        "CLINIC_DATE": _warehouse(event.day),
        "SPECIALTY": _SPECIALTIES[event.number % len(_SPECIALTIES)],
        "LOCATION": history.person.hospital,
        # The number makes the appointment: a person may have two on a day.
        "CLINIC_TYPE": str(event.number + 1),
        "CLINIC_ATTENDANCE": event.more[0],
        "MODE_OF_CONTACT": "1",
        "MAIN_CONDITION": event.code,
    }


def _smr01(history: History, event: Event) -> Row:
    others = {f"OTHER_CONDITION_{n}": "".join(event.more[n - 1 : n]) for n in range(1, 6)}
    return {**_stay(history, event), "RECORD_TYPE": "01B", "INPATIENT_DAYCASE_IDENTIFIER": "I", **others}


def _smr02(history: History, event: Event) -> Row:
    own = {
        "CONDITION_ON_DISCHARGE": "3",
        "DATE_OF_DELIVERY": _warehouse(event.day),
        "ESTIMATED_GESTATION": event.more[0],
        "NUM_OF_BIRTHS_THIS_PREGNANCY": "1",
        "BIRTHWEIGHT_BABY_1": event.more[1],
        "SEX_BABY_1": str(1 + event.number % 2),
    }
    return {**_stay(history, event), **own}


def _smr04(history: History, event: Event) -> Row:
    own = {"MANAGEMENT_OF_PATIENT": "1", "ADMISSION_DIAGNOSIS_1": event.code, "DUPLICATE_RECORD_FLAG": "0"}
    return {**_stay(history, event), **own}


def _smr06(history: History, event: Event) -> Row:
    return {
        "UPI_NUMBER": _chi(history, event.day),
        "TUMOUR_NO": str(event.number + 1),
        "INCIDENCE_DATE": _warehouse(event.day),
        "ICD10S_CANCER_SITE": event.code,
        "TYPE_ICDO3": "8140",
        "DEATH_CERTIFICATE_ONLY": "0",
        "OUT_OF_SCOTLAND": "0",
    }


def _prescribing(history: History, event: Event) -> Row:
    month_end = (event.day.replace(day=1) + dt.timedelta(days=62)).replace(day=1) - dt.timedelta(days=1)
    return {
        "UPI_NUMBER": _chi(history, event.day),
        "PRESC_DATE": f"{event.day:%d/%m/%Y}",
        "DISP_DATE": f"{event.day + dt.timedelta(days=1):%d/%m/%Y}",
        "PAID_DATE": f"{month_end:%d/%m/%Y}",
        "PI_BNF_Item_Code": event.code,
        "Dispensed_Quantity": ("56", "70ML", "+80")[event.number % 3],
        "Number_of_Paid_Items": "1",
    }


def _deaths(history: History, event: Event) -> Row:
    causes = {f"CAUSE_OF_DEATH_CODE_{n}": "".join(event.more[n : n + 1]) for n in range(10)}
    return {
        "LINK_NO": f"{history.person.index + 1:010d}",
        "UPI_NUMBER": _chi(history, event.day),
        "DATE_OF_DEATH": f"{event.day:%Y%m%d}",
        "DATE_OF_REGISTRATION": f"{event.day + dt.timedelta(days=4):%Y%m%d}",
        "UNDERLYING_CAUSE_OF_DEATH": event.code.removesuffix("X"),
        **causes,
        "COUNTRY_OF_RESIDENCE": "XS",
    }


def _laboratory(history: History, event: Event) -> Row:
    read, (local, shown, unit), chi = event.code, event.more, _chi(history, event.day)
    # The hour makes two tests of a day two rows.
    moment = dt.datetime.combine(event.day, dt.time(8, event.number % 60))
    region = _REGIONS.get(history.person.board)
    if region == "glasgow":
        return {"CHI": chi, "clinicalcodevalue": f"{local}  ", "sampledate": f"{event.day:%d/%m/%Y} 00:00:00",
                "sampletime": f"{moment:%H:%M}", "quantityvalue": shown, "rangelowvalue": "-32768"}  # fmt: skip
    if region == "lothian":
        return {"CHI": chi, "testitemcode": local, "value": shown, "unit": unit, "rangemin": "",
                "specimencollectiondate": f"{moment:%Y-%m-%d %H:%M:%S}"}  # fmt: skip
    if region == "grampian":
        return {"CHI": chi, "read_code": read, "result": shown, "result_extension": "", "test_units": unit,
                "reference_range": "10{200", "sample_date": f"{moment:%Y-%m-%dT%H:%M:%S}"}  # fmt: skip
    return {"CHI": chi, "readcodevalue": read, "localclinicalcodevalue": local, "quantityvalue": shown,
            "datetimesampled": f"{moment:%d/%m/%Y %H:%M:%S}", "quantityunit": unit, "arithmeticcomparator": "",
            "hb_extract": history.person.board}  # fmt: skip


def _radiology_report(history: History, event: Event) -> Row:
    _, modality, finding = event.more
    words = f"{modality} examination. {finding or 'No acute abnormality.'}"
    return {
        "CHI": _chi(history, event.day),
        "ACCESSION_NUMBER": f"R{history.person.index:07d}{event.number:03d}",
        "EXAM_DATE": f"{event.day:%Y-%m-%d} 09:00:00",
        "REPORT_DATE": f"{event.day + dt.timedelta(days=1):%Y-%m-%d} 12:00:00",
        "EXAM_NAME": f"{modality} examination",
        "MODALITY": modality,
        "REPORT_TEXT": f"{words}\nDr {history.person.practitioner.split('^')[0]}",
        "REPORT_STATUS": "F",
        "BOARD": history.person.board,
    }


_LAYOUTS: dict[str, Callable[[History, Event], Row]] = {
    "smr00": _smr00,
    "smr01": _smr01,
    "smr02": _smr02,
    "smr04": _smr04,
    "smr06": _smr06,
    "prescribing": _prescribing,
    "deaths": _deaths,
    "laboratory": _laboratory,
    "radiology_report": _radiology_report,
}


def _register(history: History) -> list[Row]:
    """Return the person's register rows: the current number, and the replaced one that points to it."""
    person = history.person
    current = {
        "chi": person.chi,
        "current_record": "1",
        "chi_num_of_curr_record": "",
        "sex": person.sex,
        "date_of_birth": f"{person.birth_date:%d/%m/%Y}",
        "date_of_death": f"{person.death_date:%d/%m/%Y}" if person.death_date else "",
        "source_death": "GC" if person.death_date else "",
        "hb_extract": person.board,
        "current_gp": person.practice,
        "current_postcode": person.postcode,
        "simd2020v2_sc_quintile": str(1 + person.index % 5),
        "opt_out": "1" if history.opted_out else "0",
    }
    if person.previous_chi is None:
        return [current]
    old = {**current, "chi": person.previous_chi, "current_record": "0", "chi_num_of_curr_record": person.chi}
    return [current, old]


def _local_number(history: History) -> Row:
    person = history.person
    return {"chi": person.chi, "issuer": person.hospital, "local_number": person.local_number,
            "valid_from": f"{person.birth_date:%Y-%m-%d}", "valid_to": ""}  # fmt: skip


class RecordFiles:
    """Collects rows by mapping and delivery, and counts what a loader must find.

    Parameters
    ----------
    seed : int
        The archive's seed.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rows: dict[str, tuple[list[Row], list[Row]]] = {}
        self.in_force: Counter[str] = Counter()
        self.quarantined: Counter[tuple[str, str]] = Counter()

    def add(self, history: History) -> None:
        """Add all rows about one person."""
        for row in _register(history):
            self._deliver("chi_register", row, "chi", Draws(self._seed, "register", row["chi"]), correctable=False)
        number = _local_number(history)
        self._deliver("local_number", number, "chi", Draws(self._seed, "local", history.person.index), False)
        for event in history.events:
            name = event.kind
            if name == "laboratory":
                name = f"laboratory_{_REGIONS.get(history.person.board, 'tayside_fife')}"
            row = _LAYOUTS[event.kind](history, event)
            draws = Draws(self._seed, "delivery", history.person.index, event.number)
            self._deliver(name, row, "CHI" if "CHI" in row else "UPI_NUMBER", draws)

    def _deliver(self, name: str, row: Row, person: str, draws: Draws, correctable: bool = True) -> None:
        first, second = self._rows.setdefault(name, ([], []))
        fate = draws.unit()
        shown = dict(row)
        if row[person].startswith("0") and draws.chance(0.1):
            shown[person] = row[person][1:]  # a spreadsheet was here
        if fate < 0.8 or not correctable:
            first.append(shown)
        if fate >= 0.75 and correctable:  # 5 % repeated, 20 % late
            second.append(shown)
        elif fate < 0.05 and "MAIN_CONDITION" in row:
            first[-1] = {**shown, "MAIN_CONDITION": "R69X"}
            second.append(shown)
        self.in_force[name] += 1
        if fate < 0.03:
            self._spoil(name, row, person, draws)

    def _spoil(self, name: str, row: Row, person: str, draws: Draws) -> None:
        """Add a bad row beside a good one."""
        stem = row[person][:9]
        wrong = next(str(d) for d in range(10) if not is_chi(stem + str(d)))
        number, code = draws.choice(
            [
                ("", "CHI_MISSING"),
                (stem + wrong, "CHI_CHECK_DIGIT"),
                (f"46{stem}"[:10], "CHI_DATE"),
                ("12345", "CHI_TOO_SHORT"),
            ]
        )
        self._rows[name][0].append({**row, person: number})
        self.quarantined[name, code] += 1

    def write(self, folder: Path) -> dict[str, Any]:
        """Write all files below `folder` and return the counts that a loader must find."""
        counts: dict[str, Any] = {}
        for name, deliveries in sorted(self._rows.items()):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for day, rows in zip(DELIVERIES, deliveries, strict=True):
                if rows:
                    _write(folder / name / f"{day}.csv", rows)
            codes = {code: n for (mapping, code), n in sorted(self.quarantined.items()) if mapping == name}
            counts[name] = {
                "rows": sum(len(rows) for rows in deliveries),
                "in_force": self.in_force[name],
                "quarantined": codes,
            }
        return counts


def _write(path: Path, rows: Iterable[Row]) -> None:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
