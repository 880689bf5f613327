"""`reprocess`: without the archive, killed and resumed, old or new for every reader, back again; selections in place.

One zone is made, without its archive at once, and copied for each test.
"""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path

import pytest
from pyspark.sql import functions as F
from reprocess_sample import MARK, OTHER, copied, cross, make_zone, rows_of, with_keys, with_other_parser

from cairn.errors import CairnError
from cairn.pipelines import reprocess_build
from cairn.pipelines.header_rows import parser_version
from cairn.pipelines.reprocess import Request, discard, opened_set, roll_back, run_reprocess, status, swap_in
from cairn.pipelines.reprocess_plan import by_difference, estimate
from cairn.pipelines.reprocess_selected import Selection
from cairn.pipelines.series import run_series
from cairn.spark import delta_log, intents, swap
from cairn.spark.delta_log import Token
from cairn.spark.fixed import fixed
from cairn.spark.ledger import versions_read
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import DEIDENTIFIED_INSTANCE, DEIDENTIFIED_SERIES
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.run import RUN
from cairn.tables.series import SERIES
from cairn.tables.study import STUDY_TABLE

TABLES = (INSTANCE, SERIES, STUDY_TABLE, QUARANTINE)


class Stopped(BaseException):
    """Stands for a kill: no error handling may catch it."""


@pytest.fixture(scope="module")
def zone(spark, tmp_path_factory):
    return make_zone(spark, tmp_path_factory.mktemp("zone"))


@pytest.fixture
def job(spark, zone, tmp_path):
    return copied(spark, zone, tmp_path)


def contents(store):
    return {table.full_name: rows_of(store.read(table)) for table in TABLES}


def marked(store, contract, version=None):
    return store.read(contract, version).where(F.col("protocol_name") == MARK).count()


class Reader(threading.Thread):
    """Asks again and again, and keeps every answer."""

    def __init__(self, store):
        super().__init__(daemon=True)
        self._store, self._over = store, threading.Event()
        self.alone, self.together, self.faults = set(), set(), []

    def run(self):
        while not self._over.wait(0.5):
            try:
                rows = self._store.read(INSTANCE).agg(
                    F.count("*"), F.sort_array(F.collect_set("parser_version")), F.count_if(F.col("is_primary"))
                )
                self.alone.add(str(tuple(rows.first())))
                versions = swap.pinned(self._store, (INSTANCE, SERIES))
                pair = (marked(self._store, table, versions[table.full_name]) for table in (INSTANCE, SERIES))
                self.together.add(tuple(pair))
            except Exception as fault:  # noqa: BLE001 - a reader that fails is a finding of the test
                self.faults.append(type(fault).__name__)

    def stop(self):
        self._over.set()
        self.join()


def stopped_at(patch, module, name, at, call):
    """Let the `at`-th call of a function be the last thing that the process does."""
    real, calls = getattr(module, name), []

    def counted(*arguments, **named):
        made = real(*arguments, **named)
        calls.append(name)
        if len(calls) == at:
            raise Stopped
        return made

    with patch.context() as now:
        now.setattr(module, name, counted)
        with pytest.raises(Stopped):
            call()


@pytest.mark.long
def test_killed_six_times_read_all_the_while_and_rolled_back(job, monkeypatch):
    store, request = job.store, Request()
    old = contents(store)
    with_other_parser(monkeypatch)
    reader = Reader(store)
    reader.start()
    stopped_at(monkeypatch, intents, "commit", 1, lambda: run_reprocess(job, request))
    assert "being built" in status(store)[0]
    stopped_at(monkeypatch, reprocess_build, "carry", 1, lambda: run_reprocess(job, request))
    counts = run_reprocess(job, request)
    assert counts[INSTANCE.full_name] == len(old[INSTANCE.full_name])
    parsed = store.read(RUN).where("job LIKE 'reprocess%'").count()
    assert contents(store) == old and parsed == 3  # nothing shows but that it ran
    before = swap.pinned(store, TABLES)
    for name, at in (("write_changes", 2), ("_move", 1), ("_commit", 1), ("_exchange_quarantine", 1)):
        stopped_at(monkeypatch, swap, name, at, lambda: swap_in(job, request))
        pinned = swap.pinned(store, TABLES)
        assert [pinned[t.full_name] for t in (INSTANCE, SERIES)] == [before[t.full_name] for t in (INSTANCE, SERIES)]
    assert marked(store, INSTANCE) > 0 and status(store)[0].startswith("swap of ")
    run_series(store, job.run("series"))  # whatever comes next finishes it
    reader.stop()
    assert reader.faults == []
    new_alone = store.read(INSTANCE).where("is_primary").count()
    assert reader.alone <= {
        str((len(old[INSTANCE.full_name]), [version], new_alone)) for version in (parser_version(), OTHER)
    }
    assert reader.together <= {(0, 0), (marked(store, INSTANCE), marked(store, SERIES))}
    assert_swapped(store, old)
    roll_back(job)
    assert contents(store) == old
    with pytest.raises(CairnError) as caught:
        roll_back(job)
    assert caught.value.code == "REPROCESS_NONE"
    assert opened_set(store) is None


def assert_swapped(store, old):
    done = swap.last(store)
    assert swap.journal(store) is None
    assert {row[0] for row in store.read(INSTANCE).select("parser_version").distinct().collect()} == {OTHER}
    new = rows_of(store.read(INSTANCE), "run", "parser_version", "protocol_name")
    assert len(new) == len(old[INSTANCE.full_name])
    changed = store.changes(INSTANCE, done.after[INSTANCE.full_name])
    told = {row["_change_type"]: row["count"] for row in changed.groupBy("_change_type").count().collect()}
    ct = store.read(INSTANCE).where("modality = 'CT'").count()
    assert told == {"update_preimage": ct, "update_postimage": ct} and 0 < ct < len(new)
    assert {row[0] for row in changed.select("modality").distinct().collect()} == {"CT"}
    assert done.changed[STUDY_TABLE.full_name] == 0 and done.changed[SERIES.full_name] == marked(store, SERIES) > 0
    detail = store.spark.sql(f"DESCRIBE DETAIL delta.`{store.location(INSTANCE)}`").first()
    assert detail["clusteringColumns"] == list(INSTANCE.clustered_by)
    manifest = store.read(RUN).where(F.col("job") == swap.JOB).first()
    assert manifest["versions_written"] == done.manifest()
    assert versions_read(store, "series")[INSTANCE.full_name] == store.version(INSTANCE)


def test_the_same_parser_changes_nothing_and_another_key_everything_beyond(job):
    store = job.store
    cross(job)
    old = rows_of(store.read(INSTANCE), "run")
    people = {row[0] for row in store.read(DEIDENTIFIED_INSTANCE).select("person_id").collect()}
    with pytest.raises(CairnError) as caught:
        swap_in(job, Request())
    assert caught.value.code == "REPROCESS_NONE"
    other = with_keys(job, "other keys")
    run_reprocess(other, Request())
    done = swap_in(other, Request())
    assert rows_of(store.read(INSTANCE), "run") == old
    assert done.changed[INSTANCE.full_name] == done.changed[SERIES.full_name] == 0
    assert store.changes(INSTANCE, done.after[INSTANCE.full_name]).isEmpty()
    assert done.changed[DEIDENTIFIED_INSTANCE.full_name] == 2 * store.read(DEIDENTIFIED_INSTANCE).count()
    new_people = {row[0] for row in store.read(DEIDENTIFIED_INSTANCE).select("person_id").collect()}
    assert len(new_people) == len(people) and not new_people & people
    versions = {table: store.version(table) for table in (CROSSING, DEIDENTIFIED_INSTANCE, DEIDENTIFIED_SERIES)}
    cross(other, "other keys")  # the ordinary job goes on from there and finds nothing to do
    assert versions == {table: store.version(table) for table in versions}


@pytest.mark.long
def test_what_changes_while_it_is_built_is_neither_lost_nor_overwritten(job, monkeypatch):
    store, spark = job.store, job.store.spark
    with_other_parser(monkeypatch)
    newer, gone, alone, late = (row[0] for row in store.read(INSTANCE).select("uri").orderBy("uri").limit(4).collect())
    blob, told = store.location(HEADER_BLOB), store.location(INSTANCE)
    kept = store.read(HEADER_BLOB).where(F.col("uri") == late).localCheckpoint()
    for location in (blob, told):
        spark.sql(f"DELETE FROM delta.`{location}` WHERE uri = '{late}'")
    spark.sql(f"DELETE FROM delta.`{blob}` WHERE uri = '{alone}'")  # a row of a catalogue: no bytes stand behind it
    run_reprocess(job, Request())
    for location in (blob, told):
        spark.sql(f"UPDATE delta.`{location}` SET content_version = 'newer' WHERE uri = '{newer}'")
        spark.sql(f"DELETE FROM delta.`{location}` WHERE uri = '{gone}'")
    store.append(HEADER_BLOB, kept)
    swap_in(job, Request())
    rows = {
        row["uri"]: row for row in store.read(INSTANCE).select("uri", "content_version", "parser_version").collect()
    }
    assert gone not in rows and late in rows
    assert (rows[newer]["content_version"], rows[newer]["parser_version"]) == ("newer", OTHER)
    assert rows[alone]["parser_version"] == parser_version()
    assert {row["parser_version"] for uri, row in rows.items() if uri != alone} == {OTHER}
    assert len(rows) == store.read(HEADER_BLOB).count() + 1


@pytest.mark.long
def test_a_gate_keeps_what_lost_too_much_out(job, monkeypatch):
    store = job.store
    old = contents(store)
    lost = tuple(row[0] for row in store.read(INSTANCE).where("modality = 'MR'").select("uri").collect())
    with_other_parser(monkeypatch, lost)
    run_reprocess(job, Request())
    with pytest.raises(CairnError) as caught:
        swap_in(job, Request())
    assert (caught.value.code, caught.value.exit_code) == ("REPROCESS_CLOSED", 3)
    assert contents(store) == old
    with pytest.raises(CairnError) as caught:
        run_reprocess(job, Request(Selection(modalities=("CT",))))
    assert caught.value.code == "REPROCESS_OPEN"
    monkeypatch.setattr("cairn.pipelines.reprocess.parser_version", lambda: "3-another")
    with pytest.raises(CairnError) as caught:
        run_reprocess(job, Request())
    assert caught.value.code == "REPROCESS_OTHER_CODE"
    discard(job)
    assert opened_set(store) is None and swap.folder(store).names(folders=True) == []


@pytest.mark.long
def test_the_suites_keep_a_parser_out_that_reads_nonsense_and_pass_one_that_does_not(
    spark, zone, tmp_path, monkeypatch
):
    job = copied(spark, zone, tmp_path, gates=True)
    old = contents(job.store)
    with_other_parser(monkeypatch, thickness=5000.0)
    run_reprocess(job, Request())
    with pytest.raises(CairnError) as caught:
        swap_in(job, Request())
    assert caught.value.code == "REPROCESS_CLOSED" and "slice_thickness" in str(caught.value)
    assert contents(job.store) == old
    discard(job)
    with_other_parser(monkeypatch)
    run_reprocess(job, Request())
    swap_in(job, Request())
    assert_swapped(job.store, old)


@pytest.mark.long
def test_selections_touch_only_what_they_should(job, monkeypatch):
    store = job.store
    chosen = store.read(INSTANCE).where("modality = 'MR'").select("uri").orderBy("uri")
    lost = chosen.first()[0]
    mr = chosen.count()
    with_other_parser(monkeypatch, (lost,))
    version = store.version(INSTANCE)
    counts = run_reprocess(job, Request(Selection(modalities=("MR",))))
    assert counts == {"replaced": mr - 1, "recovered": 0, "given_up": 1, "outdated": 0}
    changed = store.changes(INSTANCE, version + 1).where("_change_type <> 'update_preimage'")
    assert {row[0] for row in changed.select("modality").distinct().collect()} == {"MR"}
    assert changed.select("uri").distinct().count() == mr
    assert primaries(store) == {1}
    refused = store.read(QUARANTINE).where(F.col("uri") == lost).first()
    assert (refused["stage"], refused["code"]) == ("headers", "HEADER_CORRUPT")
    with_other_parser(monkeypatch)
    given_up = store.read(QUARANTINE).count()
    counts = run_reprocess(job, Request(Selection(quarantine=True)))
    assert counts == {"replaced": 0, "recovered": 1, "given_up": 0, "outdated": 0}
    assert store.read(QUARANTINE).count() == given_up - 1
    assert marked(store, INSTANCE) == 0
    rest = store.read(INSTANCE).where(F.col("parser_version") != OTHER).count()
    assert rest == store.read(INSTANCE).count() - mr
    counts = run_reprocess(job, Request(Selection(other_parser=True)))
    assert (
        counts["replaced"] == rest and marked(store, INSTANCE) == store.read(INSTANCE).where("modality = 'CT'").count()
    )
    assert marked(store, SERIES) > 0 and primaries(store) == {1}
    assert opened_set(store) is None


def primaries(store):
    """How many primary entries SOPInstanceUIDs have that are present."""
    rows = store.read(INSTANCE).where("sop_instance_uid IS NOT NULL").groupBy("sop_instance_uid")
    return {row[0] for row in rows.agg(F.count_if("is_primary").alias("n")).select("n").distinct().collect()}


def test_a_plan_measures_a_sample_and_changes_nothing(job):
    store = job.store
    some = store.read(INSTANCE).where("is_primary").limit(3).select("uri", F.lit(False).alias("is_primary"))
    store.update(INSTANCE, fixed(some))
    assert any(
        json.loads(add)["add"].get("deletionVector") for add in delta_log.files(store.spark, store.location(INSTANCE))
    )
    versions = [store.version(table) for table in TABLES]
    found = estimate(job, Request(Selection(modalities=("CT",))))
    ct = store.read(INSTANCE).where("modality = 'CT'").count()
    assert [(step.name, step.rows) for step in found.steps] == [("parse", ct), ("series", ct)]
    parse = found.steps[0]
    assert 0 < parse.sampled <= ct and parse.cpu > 0 and parse.written > 100
    assert 0 < found.read < sum(size.stat().st_size for size in Path(store.folder(HEADER_BLOB).path).glob("*.parquet"))
    assert found.core_hours >= parse.rows * parse.cpu / 3600 and found.counts()["cores"] == found.cores
    assert f"{ct:,} rows" in found.lines()[1]
    assert [store.version(table) for table in TABLES] == versions
    assert opened_set(store) is None


@pytest.mark.parametrize(
    ("rows", "before", "each", "sampled"),
    [
        (200_000, 3.0, 0.0005, 10_000),  # what stands before the first row hides 2,000 of them
        (200_000, 0.0, 0.0005, 2_000),
        (10_000, 30.0, 0.0005, 10_000),  # all of them do not outweigh it
        (3_000_000_000, 300.0, 0.0005, 1_250_000),
        (3_000_000_000, 3_000.0, 0.00001, 781_250_000),
    ],
)
def test_a_sample_is_enlarged_until_it_says_something(rows, before, each, sampled):
    noise = itertools.cycle((0.97, 1.03))

    def cpu_of(share: float) -> tuple[int, float]:
        some = round(rows * share)
        return some, (before + each * some) * next(noise)

    lots, told_each, told_before = by_difference(cpu_of, 2_000 / rows)
    assert lots == sampled
    assert told_before + told_each * rows == pytest.approx(before + each * rows, rel=0.15)


@pytest.mark.long
def test_a_set_beside_refuses_to_write_live_tables(job):
    from cairn.spark.beside import BesideStore

    beside = BesideStore(job.store, "some", (INSTANCE,))
    with pytest.raises(ValueError, match="live table"):
        beside.append_rows(QUARANTINE, [], Token("some", 1), 0)
    with pytest.raises(ValueError, match="live table"):
        beside.delete_keys(HEADER_BLOB, job.store.read(HEADER_BLOB))
    beside.remove()
