"""The public samples load without loss: rows read by another reader = loaded + quarantined."""

import datetime as dt
import os
from pathlib import Path

import pandas as pd
import pytest

from cairn.ehr.deliveries import load
from cairn.ehr.mapping import load_all
from cairn.ehr.rows import Delivery

SHARED = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "ehr"
MAPPINGS = load_all(Path(__file__).resolve().parents[2] / "conf" / "ehr")


def _loaded(path: Path, name: str) -> tuple[int, int, int, set[str]]:
    mapping = MAPPINGS[name].model_copy(update={"format": "parquet" if path.suffix == ".parquet" else "csv"})
    rows = bad = 0
    findings: set[str] = set()
    ids: set[str] = set()
    with path.open("rb") as stream:
        for made in load(stream, mapping, Delivery(path.name, dt.date(2024, 1, 1))):
            rows, bad = rows + len(made.typed), bad + len(made.quarantined)
            findings |= {code for code, _ in made.findings}
            if "record_id" in made.typed.column_names:
                ids.update(made.typed["record_id"].to_pylist())
    return rows, bad, len(ids), findings


@pytest.mark.parametrize("sample", ["omop_gibleed", "omop_synthea27nj"])
def test_omop_samples(sample: str):
    if not (SHARED / sample).exists():
        pytest.skip("no shared data: set CAIRN_SHARED")
    files = [path for path in sorted((SHARED / sample).iterdir()) if f"omop_{path.stem.lower()}" in MAPPINGS]
    assert len(files) >= 9
    for path in files:
        given = len(pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str))
        rows, bad, _, findings = _loaded(path, f"omop_{path.stem.lower()}")
        assert (rows + bad, bad, findings) == (given, 0, set()), path.name


def test_hospital_records():
    path = SHARED / "hes_artificial" / "artificial_hes_apc_0102_truncated.csv"
    if not path.exists():
        pytest.skip("no shared data: set CAIRN_SHARED")
    given = pd.read_csv(path, dtype=str, encoding="latin-1")
    rows, bad, ids, findings = _loaded(path, "hes_apc")
    assert (rows + bad, bad) == (len(given), int(given["PSEUDO_HESID"].isna().sum() + given["EPIKEY"].isna().sum()))
    assert ids == given["EPIKEY"].nunique()
    assert not findings & {"EHR_DATE", "EHR_ENCODING"}
