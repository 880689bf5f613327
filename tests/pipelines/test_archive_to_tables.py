"""The main job on a made-up archive, held against its truth: every entry accounted for, every value in its place."""

from __future__ import annotations

import hashlib
import io
import math
import sys
import warnings

import pydicom
from made_world import World

from cairn.pipelines.archive_to_tables import run_stages
from cairn.pipelines.job import Job
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.burned_in_text import BURNED_IN_TEXT
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.series import SERIES
from cairn.tables.study import STUDY_TABLE

TABLES = (ARCHIVE_ENTRY, HEADER_BLOB, INSTANCE, QUARANTINE, PIXEL_STATISTICS, SERIES, STUDY_TABLE)


def test_entries_found_are_parsed_or_quarantined(world: World) -> None:
    account = world.done.account
    assert account.adds_up
    assert account.found == account.parsed + account.quarantined
    assert account.parsed > 300
    assert account.quarantined > 20


def test_every_true_entry_has_the_outcome_that_the_truth_expects(world: World) -> None:
    parsed = world.by_path(INSTANCE)
    failed = world.by_path(QUARANTINE, "code", where="stage <> 'pixels'")
    kinds = world.by_path(ARCHIVE_ENTRY, "kind")
    wrong = []
    for path, entry in world.entries.items():
        outcome, code = entry["outcome"], failed.get(path, {}).get("code")
        if outcome == "parsed":
            right = path in parsed and path not in failed
        elif outcome == "quarantined":
            right = path not in parsed and path in failed and (entry["code"] is None or code == entry["code"])
        elif outcome == "container":
            right = kinds.get(path, {}).get("kind") == "container" and (entry["code"] is None or code == entry["code"])
        elif outcome == "any":
            right = (path in parsed) != (path in failed)
        else:
            right = not (path in parsed and path in failed)
        if not right:
            wrong.append((entry["label"] or path, outcome, entry["code"], path in parsed, code))
    assert wrong == []


def test_nothing_is_found_that_is_not_there(world: World) -> None:
    rows = world.by_path(ARCHIVE_ENTRY, "container", "code")
    damaged = {path for path, row in rows.items() if row["code"] == "ARCHIVE_CORRUPT"}
    # What a damaged archive's remains look like (a member with a random name) is still accounted for, but not foretold.
    strange = [
        path
        for path, row in rows.items()
        if path not in world.entries and (row["container"] is None or world.path(row["container"]) not in damaged)
    ]
    assert strange == []


def test_values_of_the_parsed_entries_are_the_true_ones(world: World) -> None:
    columns = (
        "modality",
        "sop_instance_uid",
        "series_instance_uid",
        "study_instance_uid",
        "sop_class_uid",
        "transfer_syntax_uid",
    )
    parsed = world.by_path(INSTANCE, *columns, "is_primary", "findings")
    wrong = []
    for path, entry in world.entries.items():
        if entry["outcome"] != "parsed":
            continue
        row = parsed[path]
        for name in columns:
            true = entry[name]
            if true is not None and name == "modality":
                true = true.split("\\")[0]  # a single-valued column keeps the first of several values
            if true and row[name] != true:
                wrong.append((entry["label"], name, row[name], true))
        if entry["is_primary"] is not None and row["is_primary"] != entry["is_primary"]:
            wrong.append((entry["label"], "is_primary", row["is_primary"]))
        missing = set(entry["findings"] or ()) - {finding["code"] for finding in row["findings"]}
        if missing:
            wrong.append((entry["label"], "findings", sorted(missing)))
    assert wrong == []


def test_values_that_their_vr_cannot_hold_are_null_with_a_finding(world: World) -> None:
    from cairn.dicom.dictionary import keywords

    by_keyword = {column.paths[0]: column.name for column in INSTANCE.columns if column.paths}
    odd = {path: e for path, e in world.entries.items() if e["outcome"] == "parsed" and e["odd_elements"]}
    names = sorted({by_keyword[k] for entry in odd.values() for k in entry["odd_elements"] if k in by_keyword})
    rows = world.by_path(INSTANCE, "findings", *names)
    assert len(odd) >= 6
    for path, entry in odd.items():
        for keyword in entry["odd_elements"]:
            tag = keywords()[keyword][0]
            place = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
            if keyword in by_keyword:
                assert rows[path][by_keyword[keyword]] is None, entry["label"]
                assert place in {finding["place"] for finding in rows[path]["findings"]}, entry["label"]


def test_series_have_their_true_geometry(world: World) -> None:
    true = {row["series_instance_uid"]: row for row in world.series}
    names = ("orientation", "regular", "missing_slices", "localizer", "contrast", "instances")
    rows = {row["series_instance_uid"]: row for row in world.store.read(SERIES).collect()}
    wrong = []
    for uid, expected in true.items():
        row = rows[uid]
        for name in names:
            if name == "contrast" and row["images"] == 0:
                assert row["contrast"] is None  # a report or a key object shows nothing, with or without contrast
            elif expected[name] is not None and row[name] != expected[name]:
                wrong.append((expected["modality"], expected["series_description"], name, row[name], expected[name]))
        for name in ("slice_spacing", "extent"):
            regular = expected["regular"] is not False  # the truth's spacing of an irregular series is its planned one
            if (
                expected[name] is not None
                and regular
                and not math.isclose(row[name] or 0, expected[name], abs_tol=1e-3)
            ):
                wrong.append((expected["modality"], expected["series_description"], name, row[name], expected[name]))
    assert wrong == []
    assert len(true) > 30


def test_every_parsed_entry_is_measured_or_in_quarantine(world: World) -> None:
    measured = world.by_path(PIXEL_STATISTICS, "pixels", "file_sha256", where="frame = 0")
    failed = world.by_path(QUARANTINE, "code", where="stage = 'pixels'")
    assert measured.keys() | failed.keys() == world.by_path(INSTANCE).keys()
    assert not measured.keys() & failed.keys()
    assert world.done.measured == len(measured)
    assert sum(row["pixels"] for row in measured.values()) > 200
    plain = [path for path in measured if "!/" not in path]
    for path in plain:
        assert measured[path]["file_sha256"] == hashlib.sha256((world.archive / path).read_bytes()).hexdigest()


def test_measures_are_those_of_the_pixels_that_pydicom_decodes(world: World) -> None:
    rows = world.by_path(
        PIXEL_STATISTICS, "minimum", "maximum", "mean", "transfer_syntax_uid", where="frame = 0 and pixels"
    )
    warnings.simplefilter("ignore")
    compared = set()
    for path, row in sorted(rows.items()):
        if "!/" in path or world.entries.get(path, {"label": "x"})["label"]:
            continue  # members are read through archives elsewhere; labelled ones are odd on purpose
        dataset = pydicom.dcmread(world.archive / path, force=True)
        if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
            continue
        pixels = dataset.pixel_array
        assert (row["minimum"], row["maximum"]) == (pixels.min(), pixels.max()), path
        assert math.isclose(row["mean"], pixels.mean(), rel_tol=1e-9, abs_tol=1e-9)
        compared.add(row["transfer_syntax_uid"])
    assert len(compared) >= 4


def test_series_know_what_their_pixels_say(world: World) -> None:
    rows = world.store.read(SERIES).where("modality = 'CT' and images > 1 and slice_spacing is not null").collect()
    assert rows
    for row in rows:
        assert row["measured_images"] <= row["images"]
        if row["measured_images"]:
            assert row["pixel_rescaled"]
            assert row["pixel_minimum"] <= row["pixel_mean"] <= row["pixel_maximum"]
        if row["matrices"] == 1 and row["measured_images"] == row["images"]:
            voxel = row["spacing_row"] * row["spacing_column"] * row["slice_spacing"] / 1000
            whole = sum(row[f"volume_{band}"] for band in ("air", "lung", "fat", "soft_tissue", "bone", "metal"))
            assert whole <= voxel * row["rows"] * row["columns"] * row["images"] * (1 + 1e-9)
    assert any(row["volume_soft_tissue"] for row in rows)


def test_what_consoles_burnt_in_is_found(world: World) -> None:
    burnt = {row["series_instance_uid"]: row["burnt_in_text"] for row in world.series if row["burnt_in_text"]}
    found = world.store.read(BURNED_IN_TEXT).select("series_instance_uid", "text").collect()
    assert burnt
    for series, lines in burnt.items():
        read = "".join(row["text"] or "" for row in found if row["series_instance_uid"] == series)
        number = next(line for line in lines if line.startswith("CHI")).removeprefix("CHI ")
        assert number in read.replace(" ", "")


def test_the_kept_bytes_parse_to_the_same_dataset(world: World) -> None:
    """Reprocessing reads `header_blob`; pydicom reads from it what it reads from the archive."""
    rows = world.store.read(HEADER_BLOB).where("size(holes) = 0").orderBy("uri").select("uri", "header").collect()
    plain = [row for row in rows if "!/" not in row["uri"]]
    warnings.simplefilter("ignore")
    compared = 0
    for row in plain:
        source = world.archive / world.path(row["uri"])
        try:
            expected = pydicom.dcmread(source, force=True, stop_before_pixels=True)
            same = expected.to_json_dict(suppress_invalid_tags=True)
        except Exception:  # noqa: BLE001 - pydicom cannot read or cannot walk it
            continue
        again = pydicom.dcmread(io.BytesIO(bytes(row["header"])), force=True)
        assert again.to_json_dict(suppress_invalid_tags=True) == same
        assert again.file_meta == expected.file_meta
        compared += 1
    assert compared > 150


def test_a_second_run_changes_nothing(world: World) -> None:
    before = {contract.name: world.store.version(contract) for contract in TABLES}
    again = run_stages(
        Job(world.store, world.job.scratch.child("again").make(), world.job.clock, sys.stderr), [str(world.archive)]
    )
    assert {contract.name: world.store.version(contract) for contract in TABLES} == before
    assert (again.read, again.measured, again.unmeasured) == (0, 0, 0)
    assert again.account == world.done.account


def test_new_changed_and_gone_entries_are_followed(world: World) -> None:
    """Runs last: it changes the archive."""
    parsed = sorted(
        path for path, e in world.entries.items() if e["outcome"] == "parsed" and e["kind"] == "file" and not e["label"]
    )
    gone, changed, source = (world.archive / path for path in parsed[:3])
    copy = source.with_name("copy of it.dcm")
    copy.write_bytes(source.read_bytes())
    gone.unlink()
    data = changed.read_bytes()
    changed.write_bytes(data.replace(b"PatientID", b"PatientID") + b"\0\0")
    job = Job(world.store, world.job.scratch.child("third").make(), world.job.clock, sys.stderr)
    done = run_stages(job, [str(world.archive)])
    assert done.account.adds_up
    assert done.read == 2
    assert done.account.gone == 1
    measured = world.by_path(PIXEL_STATISTICS, where="frame = 0")
    failed = world.by_path(QUARANTINE, where="stage = 'pixels'")
    assert done.measured + done.unmeasured == 2
    assert measured.keys() | failed.keys() == world.by_path(INSTANCE).keys()
    rows = world.by_path(INSTANCE, "file_size", "is_primary")
    assert str(gone.relative_to(world.archive)) not in rows
    assert rows[str(changed.relative_to(world.archive))]["file_size"] == len(data) + 2
    pair = [rows[str(path.relative_to(world.archive))]["is_primary"] for path in (source, copy)]
    assert sorted(pair) == [False, True]
    gone_rows = world.store.read(ARCHIVE_ENTRY).where("state = 'gone'").collect()
    assert [world.path(row["uri"]) for row in gone_rows] == [str(gone.relative_to(world.archive))]
