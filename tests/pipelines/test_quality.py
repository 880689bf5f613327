"""Quality gates on a small warehouse: a clean run passes, each planted fault stops the run before the next stage."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
import quality_sample as sample
from spark_support import forget, made_settings

from cairn.errors import EXIT_GATE, CairnError
from cairn.pipelines import archive_to_tables, quality_gates
from cairn.pipelines.job import Job
from cairn.pipelines.quality import RESULTS, check, named
from cairn.pipelines.quality_job import check_tables
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.deidentified import DEIDENTIFIED_INSTANCE
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quality_result import DEIDENTIFIED_QUALITY, QUALITY
from cairn.tables.quality_suites import AFTER, BEFORE, suites
from cairn.tables.run import RUN
from cairn.tables.series import SERIES


@pytest.fixture(scope="module")
def job(spark, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:  # type: ignore[no-untyped-def]
    """The sample's warehouse, checked once: what later checks are compared with. Tests put back what they break."""
    folder = tmp_path_factory.mktemp("quality")
    forget(spark)
    store = Store(spark, made_settings(folder / "ware house"))
    sample.make(store)
    made = sample.job_on(store, Folder(str(folder / "scratch")))
    quality_gates.before(made, "deidentify")
    quality_gates.before(made, "cohort")
    yield made
    forget(spark)


@pytest.fixture
def broken(job: Job) -> Iterator[Job]:
    """The job; afterwards every table is as it was."""
    contracts = [suites()[name].contract for name in (*BEFORE["deidentify"], *BEFORE["cohort"])]
    versions = {c: version for c in contracts if (version := job.store.version(c)) is not None}
    yield job
    for contract, version in versions.items():
        if job.store.version(contract) != version:
            job.store.spark.sql(f"RESTORE TABLE delta.`{job.store.location(contract)}` TO VERSION AS OF {version}")


def closed(job: Job, crossing: str) -> set[tuple[str, str, str]]:
    """Return what closes a crossing: table, expectation, column; the gate must say so."""
    with pytest.raises(CairnError) as caught:
        quality_gates.before(job, crossing)
    assert caught.value.code == "QUALITY_GATE_CLOSED"
    assert caught.value.exit_code == EXIT_GATE
    results = RESULTS["identifiable" if crossing == "deidentify" else "deidentified"]
    latest = job.store.read(results).selectExpr("max(judged)").first()[0]
    rows = job.store.read(results).where(f"judged = '{latest}' AND NOT success AND severity = 'error'").collect()
    assert all(f"{row['table']} {row['expectation']}" in str(caught.value) for row in rows[:5])
    return {(row["table"], row["expectation"], row["column"]) for row in rows}


def test_a_clean_run_passes_and_is_kept(job: Job) -> None:
    rows = job.store.read(QUALITY).collect()
    assert rows and all(row["success"] for row in rows)
    assert {row["table"] for row in rows} >= {INSTANCE.full_name, HEADER_BLOB.full_name, SERIES.full_name}
    keys = Counter(tuple(row[name] for name in QUALITY.key) for row in rows)
    assert set(keys.values()) == {1}
    by = {(row["table"], row["expectation"], row["column"], row["scope"]): row for row in rows}
    counted = by[INSTANCE.full_name, "steady_rows", "modality", "MR"]
    assert (counted["observed"], counted["rows"], counted["table_version"]) == (30, 95, job.store.version(INSTANCE))
    runs = job.store.read(RUN).where("job = 'quality'").collect()
    assert {row["status"] for row in runs} == {"done"}
    assert runs[0]["counts"]["errors"] == 0
    assert runs[0]["versions_read"][INSTANCE.full_name] == job.store.version(INSTANCE)


def test_what_did_not_change_is_not_judged_again(job: Job) -> None:
    before = job.store.read(QUALITY).count()
    checked = check(job.store, job.run("quality"), BEFORE["deidentify"])
    assert (checked.judged, checked.standing) == (0, 6)
    assert job.store.read(QUALITY).count() == before
    again = check(job.store, job.run("quality"), (INSTANCE.full_name,), accept=True)
    assert (again.judged, again.standing) == (1, 0)


def test_a_duplicate_key_closes_the_crossing(broken: Job) -> None:
    sample.add(broken.store, INSTANCE, [sample.image(3)], 11)
    assert closed(broken, "deidentify") == {(INSTANCE.full_name, "unique", "uri")}
    row = broken.store.read(QUALITY).where("expectation = 'unique' AND NOT success").first()
    assert row is not None and row["observed"] == 2


def test_an_orphan_closes_the_crossing(broken: Job) -> None:
    orphan = sample.image(200, series_instance_uid="2.999")
    sample.add(broken.store, INSTANCE, [orphan], 12)
    assert closed(broken, "deidentify") == {
        (INSTANCE.full_name, "refers", "uri"),
        (SERIES.full_name, "covered", "series_instance_uid"),
        ("identifiable.study", "covered", "study_instance_uid"),
    }


def test_values_out_of_range_and_of_no_code_close_the_crossing(broken: Job) -> None:
    broken.store.spark.sql(
        f"UPDATE delta.`{broken.store.location(INSTANCE)}` SET rows = -1, parser = 'other' WHERE uri LIKE '%1.dcm'"
    )
    found = closed(broken, "deidentify")
    assert found == {(INSTANCE.full_name, "between", "rows"), (INSTANCE.full_name, "one_of", "parser")}


def test_a_missing_column_closes_the_crossing(broken: Job) -> None:
    frame = broken.store.read(SERIES).drop("slice_spacing")
    writer = frame.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    writer.save(broken.store.location(SERIES))
    assert (SERIES.full_name, "columns", "slice_spacing") in closed(broken, "deidentify")


def test_a_modality_that_vanishes_closes_the_crossing_until_it_is_accepted(broken: Job) -> None:
    gone = "modality = 'US'"
    for contract in (INSTANCE, HEADER_BLOB, ARCHIVE_ENTRY):
        where = (
            gone if contract is INSTANCE else "CAST(regexp_extract(uri, '([0-9]+).dcm', 1) AS INT) BETWEEN 70 AND 94"
        )
        broken.store.spark.sql(f"DELETE FROM delta.`{broken.store.location(contract)}` WHERE {where}")
    found = closed(broken, "deidentify")
    assert (INSTANCE.full_name, "steady_rows", "modality") in found
    assert {name for _, name, _ in found} == {"steady_rows"}
    assert closed(broken, "deidentify") == found  # the run that failed is not what the next one is compared with
    check(broken.store, broken.run("quality"), BEFORE["deidentify"], accept=True)
    quality_gates.before(broken, "deidentify")


def test_entries_without_header_or_with_both_outcomes_close_the_crossing(broken: Job) -> None:
    lost = sample.entry(300)
    sample.add(broken.store, ARCHIVE_ENTRY, [lost], 13)
    both = {"uri": sample.uri(1), "stage": "headers", "code": "NOT_DICOM", "run": "r"}
    sample.add(broken.store, suites()["identifiable.quarantine"].contract, [both], 13)
    assert closed(broken, "deidentify") == {
        (HEADER_BLOB.full_name, "accounted", "uri"),
        (INSTANCE.full_name, "apart", "uri"),
    }


def test_an_unreleased_column_in_the_zone_closes_what_reads_it(broken: Job) -> None:
    place = broken.store.location(DEIDENTIFIED_INSTANCE)
    broken.store.spark.sql(f"ALTER TABLE delta.`{place}` ADD COLUMN (nickname STRING)")
    assert closed(broken, "cohort") == {(DEIDENTIFIED_INSTANCE.full_name, "columns", "nickname")}
    with pytest.raises(CairnError, match="nickname"):
        quality_gates.after(broken, "deidentify")


def test_an_address_in_the_zone_closes_what_reads_it(broken: Job) -> None:
    leak = sample.crossed(95, series_instance_uid="9.2.0", study_instance_uid="9.3.0", series_description=sample.uri(7))
    sample.add(broken.store, DEIDENTIFIED_INSTANCE, [leak], 14)
    assert closed(broken, "extract") == {(DEIDENTIFIED_INSTANCE.full_name, "no_address", "")}
    rows = broken.store.read(DEIDENTIFIED_QUALITY).where("expectation = 'no_address'").collect()
    assert "archive/7" not in str(rows)


def test_a_table_that_nobody_released_closes_the_zone(job: Job) -> None:
    folder = job.store.folder(DEIDENTIFIED_INSTANCE).hadoop_uri.replace("/instance", "/my_copy")
    job.store.spark.range(3).write.format("delta").save(folder)
    assert closed(job, "cohort") == {("deidentified.*", "tables", "")}
    Folder(job.store.settings.zone_root("deidentified")).remove_folder("my_copy")
    quality_gates.before(job, "cohort")


def test_gates_can_be_left_out(job: Job) -> None:
    off = sample.job_on(job.store, job.scratch, gates=False)
    assert quality_gates.before(off, "deidentify") is None
    assert quality_gates.after(off, "series") is None


@pytest.mark.parametrize("fault", [False, True])
def test_the_run_of_all_stages_stops_before_data_crosses(
    broken: Job, monkeypatch: pytest.MonkeyPatch, fault: bool
) -> None:
    """Stages that do nothing, around the real gates: the tables are there already."""
    broken = replace(broken, stream=io.StringIO())
    called: list[str] = []

    def stage(name: str):  # type: ignore[no-untyped-def]
        def run(*_: object, **__: object) -> object:
            called.append(name)
            return broken.run(name)

        return run

    for function in ("take_inventory", "read_headers", "read_pixels", "run_series", "deidentify"):
        monkeypatch.setattr(archive_to_tables, function, stage(function))
    monkeypatch.setattr(archive_to_tables, "_done", lambda *_: "done")
    if fault:
        sample.add(broken.store, INSTANCE, [sample.image(3)], 15)
        with pytest.raises(CairnError, match=r"QUALITY_GATE_CLOSED.*deidentify.*identifiable.instance unique uri"):
            archive_to_tables.run_stages(broken, [], terms=object())  # type: ignore[arg-type]
        assert called == ["take_inventory", "read_headers", "read_pixels", "run_series"]
    else:
        assert archive_to_tables.run_stages(broken, [], terms=object()) == "done"  # type: ignore[arg-type]
        assert called[-1] == "deidentify"
    told = broken.stream.getvalue()  # type: ignore[attr-defined]
    assert ("quality after headers: error: identifiable.instance: (uri) is unique: 2 rows" in told) == fault


def test_the_job_writes_pages_without_values(job: Job, tmp_path) -> None:  # type: ignore[no-untyped-def]
    checked = check_tables(job.store, job.run("quality"), ["instance"], "identifiable", docs=tmp_path / "docs")
    assert checked.counts()["errors"] == 0
    index = (tmp_path / "docs" / "index.html").read_text("utf-8")
    assert "identifiable.instance.html" in index and "deidentified.instance" not in index
    page = (tmp_path / "docs" / "identifiable.instance.html").read_text("utf-8")
    assert "values must be unique" in page
    for secret in ("0101501234", "archive/", "file:"):
        assert secret not in index + page


def test_names_of_tables(job: Job) -> None:
    assert named(["instance"]) == ("identifiable.instance", "deidentified.instance")
    assert named(["instance"], "deidentified") == ("deidentified.instance",)
    assert set(named([], "deidentified")) == {name for name in suites() if name.startswith("deidentified.")}
    with pytest.raises(CairnError) as caught:
        named(["instanc"])
    assert caught.value.code == "QUALITY_NO_SUITE"
    assert "instance" in str(caught.value)
    assert set().union(*AFTER.values()) == set(suites())
