"""`ehr`: made-up deliveries, in any order and again, held against the truth that was made with them."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from spark_support import forget, made_settings

from cairn.ehr.mapping import load
from cairn.ehr.persons import person_rows, resolve_aliases
from cairn.errors import CairnError
from cairn.pipelines.ehr import DEATHS, REGISTER, STAGE, load_records, refresh_persons, sources_of
from cairn.pipelines.job import Job
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.synthetic.archive import synthesise
from cairn.tables.person import PERSON, PERSON_ALIAS
from cairn.tables.quarantine import QUARANTINE

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


def put(job: Job, made: Path, name: str, label: str, files: list[Path] | None = None) -> dict[str, int]:
    mapping = load(ROOT / "conf" / "ehr" / f"{name}.yaml")
    places = [str(file) for file in files] if files else [str(made / "ehr" / name)]
    sources = sources_of(mapping, places, None)
    return dict(load_records(job.store, job.run(STAGE), job.folder(f"{name} {label}"), job.stream, sources))


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
    put(job, made, "smr01", "again")
    after = job.store.version(contract), job.store.version(QUARANTINE)
    assert _rows_changed(job, contract, before[0], after[0]) == 0
    assert _rows_changed(job, QUARANTINE, before[1], after[1]) == 0


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
    before = job.store.version(PERSON)
    refresh_persons(job.store, job.run(STAGE))
    assert _rows_changed(job, PERSON, before, job.store.version(PERSON)) == 0


def test_a_file_without_a_date_is_refused(tmp_path: Path) -> None:
    (tmp_path / "records.csv").write_text("a,b\n")
    mapping = load(ROOT / "conf" / "ehr" / "smr01.yaml")
    with pytest.raises(CairnError, match="EHR_UNDATED"):
        sources_of(mapping, [str(tmp_path / "records.csv")], None)
    with pytest.raises(CairnError, match="SOURCE_MISSING"):
        sources_of(mapping, [str(tmp_path / "nothing")], None)
