"""A small warehouse in which everything that is expected holds, and rows to break it with."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cohort_zone import full

from cairn.pipelines.job import Job
from cairn.settings import Settings
from cairn.spark.delta_log import Token
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.contract import Contract
from cairn.tables.deidentified import DEIDENTIFIED_INSTANCE, DEIDENTIFIED_SERIES, DEIDENTIFIED_STUDY
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.series import SERIES
from cairn.tables.study import STUDY_TABLE

DAY = dt.date(2020, 3, 1)
MODALITIES = ("CT",) * 40 + ("MR",) * 30 + ("US",) * 25
"""Modality of each of the images; four of them are of one series."""

IMAGES = range(len(MODALITIES))


def uri(number: int) -> str:
    return f"file:///archive/{number}.dcm"


def series_of(number: int) -> int:
    return number // 5


def image(number: int, **other: Any) -> dict[str, Any]:
    """A row of `instance`."""
    row = {
        "uri": uri(number),
        "content_version": "1",
        "run": "r",
        "is_primary": True,
        "parser": "kernel",
        "findings": [],
        "sop_instance_uid": f"1.{number}",
        "series_instance_uid": f"2.{series_of(number)}",
        "study_instance_uid": f"3.{series_of(number)}",
        "patient_id": "0101501234",
        "modality": MODALITIES[number % len(MODALITIES)],
        "study_date": DAY,
        "manufacturer": "M",
        "rows": 64,
        "columns": 64,
        "slice_thickness": 1.0,
        "pixel_spacing": [0.5, 0.5],
        "kvp": 120.0,
        "magnetic_field_strength": 1.5,
    }
    return {**row, **other}


def entry(number: int, **other: Any) -> dict[str, Any]:
    """A row of `archive_entry`."""
    return {"uri": uri(number), "kind": "file", "state": "present", "size": 100, "content_version": "1", **other}


def header(number: int, **other: Any) -> dict[str, Any]:
    """A row of `header_blob`."""
    row = {"uri": uri(number), "content_version": "1", "run": "r", "header": b"x", "header_bytes": 1, "file_size": 100}
    return {**row, **other}


def series(number: int, zone: str = "", **other: Any) -> dict[str, Any]:
    """A row of `series` of either zone."""
    modality = MODALITIES[number * 5]
    row = {
        "series_instance_uid": f"{zone}2.{number}",
        "study_instance_uid": f"{zone}3.{number}",
        "modality": modality,
        "study_date": DAY,
        "manufacturer": "M",
        "instances": 5,
        "images": 5,
        "studies": 1,
        "orientation": "axial",
        "slice_spacing": 1.0,
        "person_id": "p",
        "modalities": [modality],
    }
    return {**row, **other}


def study(number: int, zone: str = "", **other: Any) -> dict[str, Any]:
    """A row of `study` of either zone."""
    modality = MODALITIES[number * 5]
    row = {
        "study_instance_uid": f"{zone}3.{number}",
        "modality": modality,
        "study_date": DAY,
        "series": 1,
        "instances": 5,
    }
    return {**row, "person_id": "p", **other}


def crossed(number: int, **other: Any) -> dict[str, Any]:
    """A row of the de-identified `instance`."""
    uids = {
        "sop_instance_uid": f"9.1.{number}",
        "series_instance_uid": f"9.2.{series_of(number)}",
        "study_instance_uid": f"9.3.{series_of(number)}",
        "person_id": "p",
    }
    return {**image(number), **uids, **other}


def add(store: Store, contract: Contract, rows: Sequence[Mapping[str, Any]], number: int) -> None:
    """Append rows, without the store's checks: it would refuse some of the faults."""
    names = {column.name for column in contract.columns}
    store.ensure(contract)
    listed = [full(contract, {n: v for n, v in row.items() if n in names}) for row in rows]
    store.append_rows(contract, listed, Token(f"test/{contract.name}", number), number)


def make(store: Store) -> None:
    """Write the warehouse: the archive with one entry in quarantine, series, studies, and what crossed."""
    last = series_of(IMAGES[-1]) + 1
    bad = len(MODALITIES)
    add(store, ARCHIVE_ENTRY, [entry(n) for n in (*IMAGES, bad)], 1)
    add(store, HEADER_BLOB, [header(n) for n in IMAGES], 1)
    add(store, INSTANCE, [image(n) for n in IMAGES], 1)
    add(store, QUARANTINE, [{"uri": uri(bad), "stage": "headers", "code": "NOT_DICOM", "run": "r"}], 1)
    add(store, SERIES, [series(n) for n in range(last)], 1)
    add(store, STUDY_TABLE, [study(n) for n in range(last)], 1)
    add(store, DEIDENTIFIED_INSTANCE, [crossed(n) for n in IMAGES], 1)
    add(store, DEIDENTIFIED_SERIES, [series(n, "9.") for n in range(last)], 1)
    add(store, DEIDENTIFIED_STUDY, [study(n, "9.") for n in range(last)], 1)


def job_on(store: Store, folder: Folder, **quality: Any) -> Job:
    """Return an open job on a store, with the gates on and a clock that goes on a second at each look."""
    settings = store.settings.model_dump()
    settings["quality"] |= {"gates": True, **quality}
    moment = [1_800_000_000.0]

    def tick() -> float:
        moment[0] += 1
        return moment[0]

    return Job(Store(store.spark, Settings.model_validate(settings)), folder.make(), tick, sys.stderr)
