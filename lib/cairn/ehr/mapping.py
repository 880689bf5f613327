"""Mapping files: which column of a source becomes which field of a table, and how its values are written.

A mapping is data (``conf/ehr/*.yaml``), checked when it is read: fields against the table's contract, names against
what exists, with the nearest right name.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from cairn.errors import CairnError, nearest
from cairn.tables.contract import Contract
from cairn.tables.ehr_columns import COMMON, DELIVERY
from cairn.tables.registry import contracts

Kind = Literal[
    "text",
    "code",
    "icd10",
    "icd10_suffix",
    "opcs4",
    "opcs4_pair",
    "bnf",
    "read",
    "number",
    "measured",
    "range_low",
    "range_high",
    "integer",
    "operator",
    "unit",
    "date",
    "timestamp",
    "category",
    "flag",
    "chi",
    "local",
]
KIND_TYPES: dict[str, tuple[pa.DataType, ...]] = {
    "number": (pa.float64(),),
    "measured": (pa.float64(),),
    "range_low": (pa.float64(),),
    "range_high": (pa.float64(),),
    "integer": (pa.int64(),),
    "date": (pa.date32(),),
    "timestamp": (pa.timestamp("us", tz="UTC"),),
    "flag": (pa.bool_(),),
}
"""Arrow types that a kind can fill; every other kind makes text."""

SET_BY_LOADER = {column.name for column in (*COMMON, *DELIVERY)} - {"patient_id"}


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class FieldMap(_Closed):
    """Where a field comes from and what its values look like."""

    source: tuple[str, ...] = Field(alias="from", description="Names of its column: the first that the source has.")
    each: bool = Field(default=False, description="All columns of `from` in order, as a list without empty ones.")
    coalesce: bool = Field(default=False, description="The first column of `from` that holds a value.")
    kind: Kind = Field(default="text", description="What the values are.")
    formats: tuple[str, ...] = Field(default=(), description="Forms of dates, tried in order; more than the mapping's.")
    values: dict[str, str | bool | None] = Field(default={}, description="category, flag: what each value means.")
    nulls: tuple[str, ...] = Field(default=(), description="Further values that mean nothing was recorded.")
    distinct: bool = Field(default=False, description="each: keep a value that repeats once.")
    issuer: str = Field(default="", description="local: who issued the numbers.")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, given: Any) -> Any:
        """Allow ``field: COLUMN`` and ``from: COLUMN``."""
        if isinstance(given, str):
            given = {"from": given}
        if isinstance(given, dict) and isinstance(given.get("from"), str):
            given = {**given, "from": (given["from"],)}
        return given


class Mapping(_Closed):
    """One layout of one source."""

    mapping: str = Field(description="Its name.")
    version: int = Field(ge=1, description="Goes up when rows would come out otherwise.")
    title: str = Field(description="What the source is, in a sentence.")
    table: str = Field(description="Table of the identifiable zone.")
    format: Literal["csv", "parquet"] = Field(default="csv", description="How files are written.")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="Between fields.")
    quote: str = Field(default='"', max_length=1, description="Around text.")
    encoding: str = Field(default="utf-8-sig", description="A name that Python knows; utf-8-sig takes a BOM away.")
    nulls: tuple[str, ...] = Field(default=("", "NULL", "null"), description="Values that mean nothing was recorded.")
    formats: tuple[str, ...] = Field(default=("%Y-%m-%d",), description="Forms of dates, tried in order.")
    key: tuple[str, ...] = Field(default=(), description="Fields that identify a record; none: the whole row does.")
    required: tuple[str, ...] = Field(default=(), description="Fields without which a row goes to quarantine.")
    fields: dict[str, FieldMap] = Field(description="By field of the table.")
    ignored: tuple[str, ...] = Field(default=(), description="Columns that are known and not taken.")

    @property
    def contract(self) -> Contract:
        """The contract of its table."""
        return contracts()[f"identifiable.{self.table}"]

    @property
    def version_hash(self) -> str:
        """SHA-256 of what it says; part of the settings of a run."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


def load(path: Path) -> Mapping:
    """Return the mapping in a YAML file.

    Raises
    ------
    CairnError
        ``MAPPING_UNREADABLE`` when it is no YAML mapping, ``MAPPING_RULE`` when it says what cannot be.
    """
    try:
        given = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = str(getattr(error, "problem", None) or getattr(error, "strerror", None) or "it is no UTF-8 text")
        raise CairnError("MAPPING_UNREADABLE", path=path, why=why) from error
    if not isinstance(given, dict):
        raise CairnError("MAPPING_UNREADABLE", path=path, why="it is no mapping of names to values")
    return parse(given, str(path))


def parse(given: dict[str, Any], path: str) -> Mapping:
    """Return the mapping that a dictionary states; `path` is for messages."""
    try:
        made = Mapping.model_validate(given)
    except ValidationError as error:
        raise _wrong(error.errors()[0], path) from error
    _check_table(made, path)
    return made


def _wrong(detail: ErrorDetails, path: str) -> CairnError:
    place = ".".join(str(part) for part in detail["loc"])
    near = ""
    if detail["type"] == "extra_forbidden":
        model = FieldMap if len(detail["loc"]) > 2 else Mapping
        known = [info.alias or name for name, info in model.model_fields.items()]
        near = nearest(str(detail["loc"][-1]), known)
    elif detail["type"] == "literal_error":
        near = nearest(str(detail["input"]), get_args(Kind) if place.endswith("kind") else ("csv", "parquet"))
    return CairnError("MAPPING_RULE", path=path, place=place, why=detail["msg"].rstrip("."), nearest=near)


def _check_table(made: Mapping, path: str) -> None:
    """Refuse a table, a field or a type that the contracts do not have."""

    def wrong(place: str, why: str, near: str = "") -> CairnError:
        return CairnError("MAPPING_RULE", path=path, place=place, why=why, nearest=near)

    tables = {
        name.partition(".")[2]: made for name, made in contracts().items() if name.startswith("identifiable.ehr_")
    }
    if made.table not in tables:
        raise wrong("table", f"there is no table {made.table!r}", nearest(made.table, tables))
    columns = {column.name: column.type for column in tables[made.table].columns if column.name not in SET_BY_LOADER}
    for name, field in made.fields.items():
        place = f"fields.{name}"
        if name not in columns:
            raise wrong(place, f"table {made.table} has no such field", nearest(name, columns))
        is_list = pa.types.is_list(columns[name])
        if field.each != is_list:
            raise wrong(place, "the field is a list: say each: true" if is_list else "the field is no list: drop each")
        kind = columns[name].value_type if is_list else columns[name]
        if kind not in KIND_TYPES.get(field.kind, (pa.string(),)):
            raise wrong(f"{place}.kind", f"{field.kind} does not make the field's type {kind}")
        if field.kind == "category" and not field.values:
            raise wrong(f"{place}.values", "a category lists its values")
        if field.kind == "local" and not field.issuer:
            raise wrong(f"{place}.issuer", "a local number has an issuer")
    if "patient_id" in columns and "patient_id" not in made.fields:
        raise wrong("fields", "no field patient_id: whose record it is")
    for place, names in (("key", made.key), ("required", made.required)):
        for name in names:
            if name not in made.fields:
                raise wrong(place, f"{name!r} is none of its fields", nearest(name, made.fields))


def load_all(folder: Path) -> dict[str, Mapping]:
    """Return the mappings of a folder by name, sorted."""
    made = [load(path) for path in sorted(folder.glob("*.yaml"))]
    return {mapping.mapping: mapping for mapping in made}


def named(name: str, folder: Path) -> Mapping:
    """Return the mapping called `name` of a folder.

    Raises
    ------
    CairnError
        BAD_ARGUMENTS, with the nearest right name.
    """
    path = folder / f"{name}.yaml"
    if not path.exists():
        known = [file.stem for file in folder.glob("*.yaml")]
        raise CairnError("BAD_ARGUMENTS", job="ehr", why=f"there is no mapping {name!r}", nearest=nearest(name, known))
    return load(path)
