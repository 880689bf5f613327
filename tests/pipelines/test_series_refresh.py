"""The series stage over Delta tables: primary entries, incremental and full runs, rerun changes nothing."""

import pytest
from pyspark.sql import functions as F

from cairn.pipelines.primary import DIFFERS, decisions, refresh_primary
from cairn.pipelines.series import refresh, run_series
from cairn.spark.ledger import Run
from cairn.spark.schema import sql_type
from cairn.tables.instance import INSTANCE
from cairn.tables.run import RUN
from cairn.tables.series import SERIES
from cairn.tables.study import STUDY_TABLE

PLAIN = [column for column in INSTANCE.columns if not column.is_variant]


@pytest.fixture
def store(store):
    """A store of its own, with an empty `instance`."""
    store.ensure(INSTANCE)
    return store


def slice_at(name: str, z: float = 0.0, **values) -> dict:
    return {
        "uri": f"file:/{name}", "content_version": "v", "run": "r", "is_primary": True, "file_size": 1000,
        "header_bytes": 500, "pixel_offset": 600, "sop_instance_uid": name, "series_instance_uid": "s1",
        "study_instance_uid": "t1", "patient_id": "p1", "modality": "CT", "rows": 8, "columns": 8,
        "pixel_spacing": [1.0, 1.0], "image_orientation_patient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "image_position_patient": [0.0, 0.0, float(z)], "image_type": ["ORIGINAL", "PRIMARY"],
    } | values  # fmt: skip


def frame(session, rows):
    schema = ", ".join(f"`{column.name}` {sql_type(column.type)}" for column in PLAIN)
    data = [tuple(row.get(column.name) for column in PLAIN) for row in rows]
    made = session.createDataFrame(data, schema).withColumn("header", F.parse_json(F.lit("{}")))
    return made.select(*(column.name for column in INSTANCE.columns))


def put(store, *rows):
    store.append(INSTANCE, frame(store.spark, rows), unique=True)


def remove(store, *names):
    store.delete_keys(INSTANCE, store.spark.createDataFrame([(f"file:/{name}",) for name in names], "uri STRING"))


def contents(store, contract):
    return {row[0]: row.asDict(recursive=True) for row in store.read(contract).collect()}


def decided(session, rows, entries=None, hashes=None) -> dict[str, str]:
    """``P`` primary, ``-`` not; ``!`` with the finding."""
    states = session.createDataFrame(entries, "uri STRING, state STRING") if entries else None
    digests = session.createDataFrame(hashes, "uri STRING, header_sha256 STRING") if hashes else None
    made = decisions(frame(session, rows), states, digests).collect()
    return {
        row.uri.removeprefix("file:/"): ("P" if row.new_primary else "-")
        + "!" * any(finding.code == DIFFERS for finding in row.new_findings)
        for row in made
    }


def test_the_best_entry_is_primary(spark):
    """Each later entry of a group loses by one more step of the order."""
    fault = [("CHARSET_BROKEN", "(0008,1030)")]
    told = [(DIFFERS, "(0008,0018)")]
    rows = [
        slice_at("a1", sop_instance_uid="a"),
        slice_at("a0", sop_instance_uid="a", pixel_offset=None, file_size=9999),
        slice_at("b1", sop_instance_uid="b", findings=told),
        slice_at("b0", sop_instance_uid="b", findings=fault, file_size=9999),
        slice_at("c1", sop_instance_uid="c", header_bytes=501),
        slice_at("c0", sop_instance_uid="c"),
        slice_at("d1", sop_instance_uid="d", file_size=1001),
        slice_at("d0", sop_instance_uid="d", file_size=None),
        slice_at("e0", sop_instance_uid="e"),
        slice_at("e1", sop_instance_uid="e"),
        slice_at("f0", sop_instance_uid=None),
        slice_at("f1", sop_instance_uid=None),
        slice_at("g1", sop_instance_uid="g"),
        slice_at("g0", sop_instance_uid="g"),
        slice_at("h0", sop_instance_uid="h"),
        slice_at("i0", sop_instance_uid="i"),
        slice_at("i1", sop_instance_uid="i"),
    ]  # fmt: skip
    entries = [("file:/g0", "gone"), ("file:/g1", "present"), ("file:/h0", "gone")]
    hashes = [("file:/i0", "x"), ("file:/i1", "y"), ("file:/e0", "z"), ("file:/e1", "z")]
    expected = {
        "a1": "P!", "a0": "-!", "b1": "P!", "b0": "-!", "c1": "P", "c0": "-", "d1": "P!", "d0": "-!", "e0": "P",
        "e1": "-", "f0": "P", "f1": "P", "g1": "P", "g0": "-", "h0": "-", "i0": "P!", "i1": "-!",
    }  # fmt: skip
    assert decided(spark, rows, entries, hashes) == expected
    assert decided(spark, rows[::-1], entries[::-1], hashes[::-1]) == expected


def test_a_finding_goes_when_contents_agree_again_and_others_stay(spark):
    findings = [("CHARSET_BROKEN", "(0008,1030)"), (DIFFERS, "(0008,0018)")]
    row = decisions(frame(spark, [slice_at("a", findings=findings)])).first()
    assert [finding.code for finding in row.new_findings] == ["CHARSET_BROKEN"]
    assert row.is_changed


def test_primary_is_written_once(store):
    put(store, slice_at("a0", sop_instance_uid="a"), slice_at("a1", sop_instance_uid="a", file_size=5), slice_at("b"))
    assert refresh_primary(store, {}) == 2
    rows = contents(store, INSTANCE)
    assert [rows[f"file:/{name}"]["is_primary"] for name in ("a0", "a1", "b")] == [True, False, True]
    assert [finding["code"] for finding in rows["file:/a1"]["findings"]] == [DIFFERS]
    version = store.version(INSTANCE)
    assert refresh_primary(store, {}) == 0
    assert store.version(INSTANCE) == version
    remove(store, "a0")
    assert refresh_primary(store, {INSTANCE.full_name: version}) == 1
    survivor = contents(store, INSTANCE)["file:/a1"]
    assert (survivor["is_primary"], survivor["findings"]) == (True, [])


def test_only_what_changed_is_described_anew_and_a_rerun_changes_nothing(store):
    put(store, *(slice_at(f"{s}.{z}", z, series_instance_uid=s) for s in ("s1", "s2") for z in range(3)))
    first = refresh(store, {})
    assert (first.instances, first.in_series, first.in_study, first.series, first.studies) == (6, 6, 6, 2, 1)
    versions = store.version(SERIES), store.version(STUDY_TABLE)

    second = refresh(store, first.seen)
    assert second.seen == first.seen
    assert (store.version(SERIES), store.version(STUDY_TABLE)) == versions

    put(
        store,
        slice_at("s2.3", 3, series_instance_uid="s2"),
        slice_at("s9", series_instance_uid="s9", study_instance_uid="t9"),
    )
    third = refresh(store, first.seen)
    written = store.changes(SERIES, versions[0] + 1).where("_change_type != 'update_preimage'").collect()
    assert sorted(row.series_instance_uid for row in written) == ["s2", "s9"]
    assert contents(store, SERIES)["s2"]["slice_positions"] == 4
    assert {uid: row["instances"] for uid, row in contents(store, STUDY_TABLE).items()} == {"t1": 7, "t9": 1}

    incremental = contents(store, SERIES), contents(store, STUDY_TABLE)
    refresh(store, {})
    assert (contents(store, SERIES), contents(store, STUDY_TABLE)) == incremental
    assert third.series == 3


def test_a_series_that_moved_or_vanished_is_deleted(store):
    put(store, slice_at("a", series_instance_uid="s1"), slice_at("b", series_instance_uid="s2"))
    seen = refresh(store, {}).seen
    remove(store, "a", "b")
    put(store, slice_at("b", series_instance_uid="s3", study_instance_uid="t3"))
    refresh(store, seen)
    assert set(contents(store, SERIES)) == {"s3"}
    assert set(contents(store, STUDY_TABLE)) == {"t3"}
    refresh(store, {})
    assert set(contents(store, SERIES)) == {"s3"}


def test_the_ledger_says_where_to_go_on(store):
    put(store, slice_at("a"), slice_at("b", 1, study_instance_uid=None))
    runs = [Run(f"run{n}", "series", clock=lambda n=n: 1000.0 + n) for n in (1, 2)]
    first = run_series(store, runs[0])
    assert runs[0].counts == {
        "primary_changes": 0, "instances": 2, "primary": 2, "in_series": 2, "in_study": 1, "series": 1, "studies": 1,
    }  # fmt: skip
    assert runs[0].versions_read == first.seen == {INSTANCE.full_name: store.version(INSTANCE)}
    versions = store.version(SERIES), store.version(STUDY_TABLE)
    run_series(store, runs[1])
    assert (store.version(SERIES), store.version(STUDY_TABLE)) == versions
    assert {row["status"] for row in contents(store, RUN).values()} == {"done"}
