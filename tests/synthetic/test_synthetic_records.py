"""Made-up records: the loader finds exactly what was made, and the cohorts are what their words say."""

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from record_world import images_of as _images

from cairn.ehr.chi import is_chi
from cairn.ehr.deliveries import in_force, load
from cairn.ehr.mapping import load_all
from cairn.ehr.rows import Delivery
from cairn.synthetic.archive import synthesise
from cairn.synthetic.histories import history
from cairn.synthetic.people import person
from cairn.synthetic.record_truth import COHORTS, members
from cairn.synthetic.records import write_records

MAPPINGS = load_all(Path(__file__).resolve().parents[2] / "conf" / "ehr")
PEOPLE = 600


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("records")
    (out / "truth").mkdir()
    everybody = [person(1, index) for index in range(PEOPLE)]
    images = [image for index in range(PEOPLE) for image in _images(index)]
    return out, write_records(out, 1, everybody, images)


def test_every_layout_is_written_and_found_again(made):
    out, summary = made
    wanted = (
        "chi_register deaths laboratory_glasgow local_number prescribing radiology_report smr00 smr01 smr02 smr04 smr06"
    )
    assert set(wanted.split()) <= summary["sources"].keys()
    for name, counts in summary["sources"].items():
        mapping = MAPPINGS[name]
        rows, codes = [], {}
        for path in sorted((out / "ehr" / name).glob("*.csv")):
            for part in load(path.open("rb"), mapping, Delivery(path.name, dt.date.fromisoformat(path.stem))):
                rows.append(part.typed)
                assert not part.findings, (name, part.findings)
                for row in part.quarantined.to_pylist():
                    codes[row["code"]] = codes.get(row["code"], 0) + 1
        whole = pa.concat_tables(rows)
        assert codes == counts["quarantined"], name
        assert len(whole) + sum(codes.values()) == counts["rows"], name
        assert len(in_force(whole, keyed=bool(mapping.key))) == counts["in_force"], name


def test_corrections_win(made):
    out, _ = made
    first = (out / "ehr" / "smr01" / "2025-03-31.csv").read_text()
    rows = []
    for path in sorted((out / "ehr" / "smr01").glob("*.csv")):
        day = dt.date.fromisoformat(path.stem)
        rows += [part.typed for part in load(path.open("rb"), MAPPINGS["smr01"], Delivery(path.name, day))]
    stands = in_force(pa.concat_tables(rows))
    true = {(f"{h.person.index:07d}{e.number:03d}"): e.code for h in map(_history, range(PEOPLE)) for e in h.events}
    assert first.count("R69X") > 3
    shown = dict(zip(stands["uri"].to_pylist(), stands["main_condition"].to_pylist(), strict=True))
    assert shown and all(true[uri].split()[0].removesuffix("X") == code for uri, code in shown.items())


def _history(index: int):
    return history(1, person(1, index), _images(index))


def test_histories_lie_within_lives_and_repeat():
    for index in range(80):
        who, made = person(1, index), _history(index)
        assert made.events == _history(index).events
        for event in made.events:
            assert who.birth_date <= event.day <= (who.death_date or dt.date(2024, 12, 31))
            assert event.day <= event.until


def test_files_are_the_same_for_the_same_seed(made, tmp_path):
    out, summary = made
    (tmp_path / "truth").mkdir()
    images = [image for index in range(PEOPLE) for image in _images(index)]
    again = write_records(tmp_path, 1, [person(1, index) for index in range(PEOPLE)], images)
    assert again == summary
    for path in sorted((out / "ehr").rglob("*.csv")):
        assert (tmp_path / path.relative_to(out)).read_bytes() == path.read_bytes()


def test_cohorts_have_members_and_leave_out_who_opted_out(made):
    out, summary = made
    assert set(summary["cohorts"]) == set(COHORTS) and all(count >= 5 for count in summary["cohorts"].values())
    rows = pq.read_table(out / "truth" / "cohorts.parquet").to_pylist()
    assert {row["cohort"] for row in rows} == set(COHORTS)
    assert all(row["person"] % 25 != 11 and is_chi(row["chi"]) for row in rows)
    opted_out = history(1, person(1, 11), _images(11))
    assert opted_out.opted_out and members(opted_out, _images(11)) == []


def test_an_archive_gets_its_records(tmp_path):
    summary = synthesise(tmp_path, 0.05, 3, long_values=False)
    assert summary["records"] == json.loads((tmp_path / "truth" / "records.json").read_text())
    assert (tmp_path / "ehr" / "chi_register" / "2025-03-31.csv").exists()
