"""`ehr`: made-up deliveries, in any order and again, held against the truth that was made with them."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import functions as F
from spark_support import forget, made_settings

from cairn.ehr.mapping import load
from cairn.ehr.persons import person_rows, resolve_aliases
from cairn.errors import CairnError
from cairn.pipelines.ehr import DEATHS, REGISTER, load_records, refresh_persons
from cairn.pipelines.ehr_sources import STAGE, sources_of
from cairn.pipelines.job import Job
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.synthetic.archive import synthesise
from cairn.tables.person import PERSON, PERSON_ALIAS
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.record_load import RECORD_LOAD

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = ("chi_register", "deaths", "local_number", "smr01", "prescribing")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    synthesise(folder / "out", scale=0.03, seed=5)
    return folder / "out"


@pytest.fixture(scope="module")
def job(spark, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("ehr")
    forget(spark)
    ticks = itertools.count(1_800_000_000)
    yield Job(
        Store(spark, made_settings(folder / "warehouse")),
        Folder(str(folder / "scratch")).make(),
        lambda: float(next(ticks)),
        io.StringIO(),
    )
    forget(spark)


def put(
    job: Job, made: Path, name: str, label: str, files: list[Path] | None = None, again: bool = False
) -> dict[str, int]:
    mapping = load(ROOT / "conf" / "ehr" / f"{name}.yaml")
    places = [str(file) for file in files] if files else [str(made / "ehr" / name)]
    sources = sources_of(mapping, places, None)
    return dict(load_records(job.store, job.run(STAGE), job.folder(f"{name} {label}"), job.stream, sources, again))


@pytest.mark.parametrize("name", MAPPINGS)
def test_every_row_is_typed_or_quarantined_and_what_stands_is_the_truth(job: Job, made: Path, name: str) -> None:
    truth = json.loads((made / "truth" / "records.json").read_text("utf-8"))
    expected = truth["sources"][name]
    files = sorted((made / "ehr" / name).iterdir(), reverse=True)  # the latest delivery first
    total: dict[str, int] = {}
    for number, file in enumerate(files):
        counts = put(job, made, name, str(number), [file])
        assert counts["read"] == counts["typed"] + counts["quarantined"]
        total = {key: total.get(key, 0) + counts[key] for key in ("read", "quarantined")} | {
            "in_force": counts["in_force"]
        }
    assert total["read"] == expected["rows"]
    assert total["in_force"] == expected["in_force"]
    refused = job.store.read(QUARANTINE).where(f"stage = '{STAGE}' and uri like '%/{name}/%'").count()
    assert refused == total["quarantined"] == sum(expected["quarantined"].values())


def test_loading_again_changes_nothing(job: Job, made: Path) -> None:
    contract = load(ROOT / "conf" / "ehr" / "smr01.yaml").contract
    before = job.store.version(contract), job.store.version(QUARANTINE)
    assert put(job, made, "smr01", "again", again=True)["read"] > 0
    after = job.store.version(contract), job.store.version(QUARANTINE)
    assert _rows_changed(job, contract, before[0], after[0]) == 0
    assert _rows_changed(job, QUARANTINE, before[1], after[1]) == 0


@pytest.fixture
def deliveries(made: Path, tmp_path: Path) -> list[Path]:
    """Two deliveries of prescriptions, in a folder of their own."""
    folder = tmp_path / "prescribing"
    folder.mkdir()
    given = sorted((made / "ehr" / "prescribing").iterdir())[:2]
    return [Path(shutil.copy(file, folder / f"{tmp_path.name}-{file.name}")) for file in given]


def test_a_file_that_is_as_it_was_loaded_is_not_read_again(job: Job, made: Path, deliveries: list[Path]) -> None:
    contract = load(ROOT / "conf" / "ehr" / "prescribing.yaml").contract
    first, second = deliveries
    rows = put(job, made, "prescribing", "only the first", [first])["read"]
    both = put(job, made, "prescribing", "both", deliveries)
    assert (both["unchanged"], both["read"] > 0) == (1, True)
    version, held = job.store.version(contract), job.store.read(contract).count()
    nothing = put(job, made, "prescribing", "nothing new", deliveries)
    assert nothing == {"read": 0, "typed": 0, "quarantined": 0, "unchanged": 2, "in_force": held}
    assert job.store.version(contract) == version
    loads = job.store.read(RECORD_LOAD).where(F.col("uri").isin([str(file) for file in deliveries])).collect()
    assert {row["uri"]: (row["rows"], row["sha256"]) for row in loads} == {
        str(file): (count, hashlib.sha256(file.read_bytes()).hexdigest())
        for file, count in ((first, rows), (second, both["read"]))
    }
    moved = Path(shutil.move(second, made / second.name))  # the same delivery, elsewhere
    assert put(job, made, "prescribing", "moved", [first, moved])["unchanged"] == 2
    shutil.move(moved, second)
    assert put(job, made, "prescribing", "asked for", deliveries, again=True)["read"] == rows + both["read"]


def test_with_one_that_changed_its_fellows_are_read_too(job: Job, made: Path, deliveries: list[Path]) -> None:
    """A correction takes rows away; what it had replaced stands again."""
    first, second = deliveries
    shutil.copy(first, second)
    put(job, made, "prescribing", "twice the same", deliveries)
    contract = load(ROOT / "conf" / "ehr" / "prescribing.yaml").contract
    named = F.col("delivery").isin([f"prescribing/{file.name}" for file in deliveries])
    before = job.store.read(contract).where(named).select("record_id").distinct().count()
    second.write_text("".join(second.read_text("utf-8").splitlines(keepends=True)[:2]), "utf-8")
    counts = put(job, made, "prescribing", "second is short", deliveries)
    assert counts["unchanged"] == 0
    assert job.store.read(contract).where(named).select("record_id").distinct().count() == before


def test_a_table_that_was_brought_back_is_filled_again(job: Job, made: Path, deliveries: list[Path]) -> None:
    contract = load(ROOT / "conf" / "ehr" / "prescribing.yaml").contract
    put(job, made, "prescribing", "before", deliveries)
    loads = f"delta.`{job.store.location(RECORD_LOAD)}`"
    job.store.spark.sql(f"UPDATE {loads} SET table_version = {job.store.version(contract) + 1}")
    assert put(job, made, "prescribing", "table is older", deliveries)["unchanged"] == 0
    job.store.spark.sql(f"UPDATE {loads} SET reading = 'another'")
    assert put(job, made, "prescribing", "read otherwise", deliveries)["unchanged"] == 0
    assert put(job, made, "prescribing", "as it was", deliveries)["unchanged"] == 2


def _rows_changed(job: Job, contract, before: int, after: int) -> int:  # type: ignore[no-untyped-def]
    return 0 if before == after else job.store.changes(contract, before + 1).count()


def test_persons_are_those_of_the_register_with_their_deaths(job: Job) -> None:
    counts = refresh_persons(job.store, job.run(STAGE))
    register = [row.asDict() for row in job.store.read(REGISTER).collect()]
    deaths = [row.asDict() for row in job.store.read(DEATHS).collect()]
    pairs = [(row["patient_id"], row["current_chi"]) for row in register if row["current_chi"]]
    aliases, loops = resolve_aliases(pairs)
    expected = {row["patient_id"]: row for row in person_rows(register, deaths, aliases)}
    found = {row["patient_id"]: row.asDict() for row in job.store.read(PERSON).collect()}
    assert found == expected
    assert counts["persons"] == len(found) > 10
    assert counts["EHR_ALIAS_LOOP"] == len(loops)
    replaced = {
        row["number"]: row["patient_id"] for row in job.store.read(PERSON_ALIAS).where("issuer = 'CHI'").collect()
    }
    assert replaced == aliases


def test_persons_are_made_anew_when_what_they_are_made_of_changes(job: Job) -> None:
    before = job.store.version(PERSON)
    again = refresh_persons(job.store, job.run(STAGE))
    assert "EHR_ALIAS_LOOP" not in again  # not even looked at
    job.store.spark.sql(f"DELETE FROM delta.`{job.store.location(PERSON)}` WHERE sex = 'F'")
    assert "EHR_ALIAS_LOOP" in refresh_persons(job.store, job.run(STAGE))
    assert job.store.read(PERSON).count() == again["persons"]
    feed = job.store.changes(PERSON, before + 1).groupBy("patient_id").count()
    assert {row["count"] for row in feed.collect()} == {2}  # gone and back; no other row was touched
    first = job.store.read(PERSON).agg(F.min("patient_id")).first()[0]
    job.store.spark.sql(f"UPDATE delta.`{job.store.location(REGISTER)}` SET board = 'Z' WHERE patient_id = '{first}'")
    refresh_persons(job.store, job.run(STAGE))
    assert job.store.read(PERSON).where("board = 'Z'").count() == 1


def test_a_file_of_other_columns_is_refused_and_leaves_nothing(job: Job, made: Path, tmp_path: Path) -> None:
    strange = tmp_path / "2025-09-30.csv"
    strange.write_text("colour,shape\nred,round\n", "utf-8")
    before = job.store.version(RECORD_LOAD)
    with pytest.raises(CairnError, match="MAPPING_COLUMNS") as told:
        put(job, made, "prescribing", "strange", [strange])
    assert "round" not in str(told.value)
    assert job.store.version(RECORD_LOAD) == before


def test_a_file_without_a_date_is_refused(tmp_path: Path) -> None:
    (tmp_path / "records.csv").write_text("a,b\n")
    mapping = load(ROOT / "conf" / "ehr" / "smr01.yaml")
    with pytest.raises(CairnError, match="EHR_UNDATED"):
        sources_of(mapping, [str(tmp_path / "records.csv")], None)
    with pytest.raises(CairnError, match="SOURCE_MISSING"):
        sources_of(mapping, [str(tmp_path / "nothing")], None)
