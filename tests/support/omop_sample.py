"""The public GiBleed sample of OMOP: its tables as analysts get them, definitions, published numbers of persons."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

from cairn.cohort.codelists import CodeList
from cairn.ehr.deliveries import load
from cairn.ehr.mapping import load_all
from cairn.ehr.rows import Delivery

SAMPLE = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "ehr" / "omop_gibleed"
LISTS = {
    "celecoxib": CodeList("celecoxib", 1, "", ("1118084",), ()),
    "diclofenac": CodeList("diclofenac", 1, "", ("1124300",), ()),
    "bleed": CodeList("bleed", 1, "", (), (), (192671,)),
    "nsaids": CodeList("nsaids", 1, "", (), (), (1118084, 1124300)),
}
TABLES = ("drug_era", "drug_exposure", "condition_occurrence", "observation_period", "person", "concept_ancestor")
MAPPINGS = load_all(Path(__file__).resolve().parents[2] / "conf" / "ehr")


def loaded(name: str) -> list[dict[str, Any]]:
    mapping = MAPPINGS[f"omop_{name}"].model_copy(update={"format": "parquet"})
    with (SAMPLE / f"{name}.parquet").open("rb") as stream:
        parts = [part.typed for part in load(stream, mapping, Delivery(name, dt.date(2024, 1, 1)))]
    return [{**row, "person_id": row.get("patient_id")} for part in parts for row in part.to_pylist()]


def sample_tables() -> dict[str, list[dict[str, Any]]]:
    """Return the sample's rows by the names that definitions use."""
    tables = {f"omop_{name}": loaded(name) for name in TABLES}
    # OMOP tells ages by the year of birth: 1 January makes completed years of it.
    tables["person"] = [
        {
            "person_id": row["person_id"],
            "sex": {8507: "M", 8532: "F"}[row["gender_concept_id"]],
            "birth_date": dt.date(row["year_of_birth"], 1, 1),
        }
        for row in tables.pop("omop_person")
    ]
    return tables


def definition_text(sets: str, rules: str) -> str:
    """Return a definition of some sets and rules."""
    return f"cohort: c\nversion: 1\nsets:\n{sets}\npersons:\n{rules}\n"


ERAS = "  s: {from: omop_drug_era, where: drug_concept_id in codes.celecoxib}"
OBSERVED = """  periods: {from: omop_observation_period}
  s: {from: omop_drug_era, where: drug_concept_id in codes.celecoxib, within: during periods}"""
FIRST = "  - having: {first: s}\n    as: start\n"
OVER_40, MEN = "  - {age_at: start, at_least: 41}\n", "  - where: sex = M\n"
# set, rules, published persons
PUBLISHED = [
    (ERAS, "  - having: s", 1844),
    (ERAS.replace("celecoxib", "diclofenac"), "  - having: s", 850),
    ("  s: {from: omop_condition_occurrence, where: condition_concept_id in codes.bleed}", "  - having: s", 479),
    ("  s: {from: omop_drug_exposure, where: drug_concept_id in codes.nsaids}", "  - having: s", 2694),
    (OBSERVED, FIRST, 1800),
    (OBSERVED, FIRST + OVER_40, 569),
    (OBSERVED, FIRST + MEN, 894),
    (OBSERVED, FIRST + OVER_40 + MEN, 266),
]
