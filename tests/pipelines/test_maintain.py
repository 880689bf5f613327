"""Upkeep: what it joins, removes and keeps, and that of who opted out nothing is left on disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cohort_zone import full
from record_zone import ANNA, BOB, OLD_ANNA, STAYS, add, record_zone, stay
from spark_support import forget, made_settings

from cairn.deid.keys import make_key
from cairn.deid.profile import load_profile
from cairn.errors import CairnError
from cairn.pipelines.deidentify_records import cross_records, with_register
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.maintain import existing, maintain, reported
from cairn.spark import intents
from cairn.spark.delta_log import Token
from cairn.spark.ledger import Run, recorded
from cairn.spark.liveness import StageLock
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.cohort import COHORT_MEMBER
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import RECORD_TWINS
from cairn.tables.run import RUN

PROFILE = Path(__file__).resolve().parents[2] / "conf" / "deid" / "research.yaml"
TWIN = RECORD_TWINS["ehr_smr01"]
numbers = count(1)


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> Terms:
    folder = tmp_path_factory.mktemp("keys")
    folder.chmod(0o700)
    make_key(folder)
    return Terms(load_profile(PROFILE), str(folder))


@pytest.fixture(scope="module")
def zone(spark, terms: Terms, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Records that have crossed, a frozen list of both people, and nobody's images; the first test changes them."""
    forget(spark)
    store = Store(spark, made_settings(tmp_path_factory.mktemp("ware house")))
    record_zone(store)
    store.ensure(CROSSING)
    crossed(store, terms)
    known = terms.pseudonyms()
    members = [{"cohort": "all", "cohort_version": 1, "member": f"m{n}", "person_id": known.person(who), "role": "case"}
               for n, who in enumerate((ANNA, BOB))]  # fmt: skip
    store.ensure(COHORT_MEMBER)
    store.append_rows(COHORT_MEMBER, [full(COHORT_MEMBER, row) for row in members], Token("test/members", 1), 1)
    return store


def clock(start: float = 1_800_000_000) -> object:
    ticks = count(int(start) + 1000 * next(numbers))
    return lambda: float(next(ticks))


def crossed(store, terms: Terms) -> None:  # type: ignore[no-untyped-def]
    cross_records(store, Run(f"run{next(numbers)}", "deidentify", clock()), with_register(store, terms))


def maintained(store, terms: Terms | None, tables=(TWIN,), **limits: float):  # type: ignore[no-untyped-def]
    settings = store.settings
    if limits:
        store.settings = settings.model_copy(update={"maintain": settings.maintain.model_copy(update=limits)})
    try:
        return maintain(store, Run(f"upkeep{next(numbers)}", "maintain", clock()), io.StringIO(), list(tables), terms)
    finally:
        store.settings = settings


def on_disk(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the whole content, in words, of every file under a folder: data, changes, log, checksums."""
    for path in folder.rglob("*"):
        if path.is_file():
            told = path.read_bytes().decode("latin-1")
            if path.suffix == ".parquet":
                told += repr(pq.read_table(path, partitioning=None).to_pylist())
            yield str(path), told


def test_of_who_opted_out_nothing_is_left_on_disk_and_the_next_run_goes_on_from_there(zone, terms: Terms) -> None:
    anna, bob = terms.pseudonyms().person(ANNA), terms.pseudonyms().person(BOB)
    root = Path(zone.settings.zone_root("deidentified"))
    out = replace(terms, opt_outs=frozenset({OLD_ANNA}))
    with pytest.raises(CairnError, match=r"OPT_OUTS_PENDING.*deidentified\.ehr_smr01"):
        maintained(zone, out)
    crossed(zone, out)
    assert any(anna in told for _, told in on_disk(root)), "earlier versions and the log hold it"
    done = maintained(zone, out)
    assert (done.erased, done.members) == (2, 1), "one person, under an old number and the one of now"
    assert [path for path, told in on_disk(root) if anna in told] == []
    assert {path.split("/deidentified/")[1].split("/")[0] for path, told in on_disk(root) if bob in told} >= {
        "ehr_smr01", "person", "cohort_member", "ehr_radiology_report"}  # fmt: skip
    assert zone.read(TWIN).count() == zone.read(COHORT_MEMBER).count() == 1
    assert existing_clustering(zone, TWIN) == list(TWIN.clustered_by)

    before = {table.full_name: zone.version(table) for table in existing(zone, zone="deidentified")}
    assert maintained(zone, out).erased is None, "done already"
    assert {name: zone.version(table) for name, table in tables_by_name(zone).items() if name != TWIN.full_name} == {
        name: version for name, version in before.items() if name != TWIN.full_name}  # fmt: skip
    add(zone, STAYS, stay("s9", BOB, 9), stay("s8", ANNA, 8))
    crossed(zone, out)
    assert zone.read(TWIN).count() == 2
    crossed(zone, terms)
    assert zone.read(TWIN).count() == 6, "who comes back is there again"


def existing_clustering(store, table) -> list[str]:  # type: ignore[no-untyped-def]
    return list(store.spark.sql(f"DESCRIBE DETAIL delta.`{store.location(table)}`").first()["clusteringColumns"])


def tables_by_name(store) -> dict:  # type: ignore[type-arg,no-untyped-def]
    return {table.full_name: table for table in existing(store, zone="deidentified")}


def test_small_files_are_joined_and_versions_go_when_their_time_has_come(zone) -> None:  # type: ignore[no-untyped-def]
    had = reported(zone, [STAYS]).after[STAYS.full_name].files
    for number in range(3):
        add(zone, STAYS, stay(f"more{number}", BOB, number))
    rows = sorted(row["record_id"] for row in zone.read(STAYS).collect())
    first = reported(zone, [STAYS]).after[STAYS.full_name]
    assert first.files == first.small == had + 3 > 3
    before = len(list(zone.folder(STAYS).names()))
    kept = maintained(zone, None, (STAYS,))
    assert kept.after[STAYS.full_name].files == 1
    assert kept.erased is None
    assert zone.read(STAYS, 1).count() == 4, "earlier versions stay as long as the settings say"
    assert len(zone.folder(STAYS).names()) >= before
    maintained(zone, None, (STAYS,), identifiable_hours=0)
    data = [name for name in zone.folder(STAYS).names() if name.endswith(".parquet") and not name.startswith(".")]
    assert len(data) == 1
    assert sorted(row["record_id"] for row in zone.read(STAYS).collect()) == rows
    line = next(kept.lines())
    assert line.startswith("identifiable.ehr_smr01: 1 files, ")
    assert f"were {had + 3}" in line


def test_old_runs_leave_the_ledger_but_each_jobs_last(zone) -> None:  # type: ignore[no-untyped-def]
    day = 86400
    for number, (job, started) in enumerate((("a", 0), ("a", day), ("b", 0), ("a", 900 * day))):
        with recorded(zone, Run(f"ledger{number}", job, lambda at=started: 1_700_000_000.0 + at)):
            pass
    done = maintained(zone, None, (RUN,), ledger_days=1000)
    left = {row["run"] for row in zone.read(RUN).where("run like 'ledger%'").collect()}
    assert left == {"ledger2", "ledger3"}
    assert done.pruned == 2


def test_nothing_is_removed_while_somebody_writes_or_a_batch_waits(zone) -> None:  # type: ignore[no-untyped-def]
    locks = Folder(zone.settings.zone_root("identifiable")).child("_locks")
    with StageLock(locks, "pixels", "other", clock(), 10, 120), pytest.raises(CairnError, match=r"STAGE_BUSY.*pixels"):
        maintained(zone, None)
    assert [name for name in locks.names() if name.endswith(".lock")] == []
    intents.folder(zone).make().write("headers-r1-000001.json", b"{}")
    with pytest.raises(CairnError, match=r"INTENTS_LEFT.*headers"):
        maintained(zone, None)
    intents.folder(zone).remove("headers-r1-000001.json")


def test_while_tables_are_made_beside_the_history_of_who_opted_out_is_not_taken_for_erased(zone, terms: Terms) -> None:
    beside = Folder(zone.settings.zone_root("deidentified")).child("_reprocess").child("20260101-r1").make()
    with pytest.raises(CairnError, match=r"OPT_OUTS_PENDING.*_reprocess.*reprocess discard"):
        maintained(zone, replace(terms, opt_outs=frozenset({BOB})))
    beside.remove_folder()


def test_a_table_that_is_none_is_named_with_the_nearest(zone) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CairnError, match=r"identifiable\.instance") as fault:
        existing(zone, ["identifiable.instanc"])
    assert fault.value.exit_code == 2
