"""A project: who may have what, until when. A YAML file in conf/projects, checked before anything else happens."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from cairn.cohort.checking import Checked
from cairn.cohort.codelists import CodeList
from cairn.deid.keys import NAME, SIGNING, SITE
from cairn.errors import CairnError, nearest
from cairn.extract.isidentifiable import Rules, read_rules
from cairn.extract.rejection import rules_of
from cairn.tables.contract import Contract
from cairn.tables.deidentified import RECORD_TWINS
from cairn.tables.registry import contracts

ALL: Literal["all"] = "all"
IMAGE_TABLES = ("instance", "series", "study", "pixel_statistics", "burned_in_text", "text_search", "cohort_member")
NEVER = frozenset({"header"})
"""Columns that no table of an extract has: what the header of a delivered file says stands in the file."""

_COHORT = re.compile(r"([a-z0-9][a-z0-9_-]*)@([1-9]\d*)")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Approval(_Part):
    """Who allowed it, under which reference, until when."""

    reference: str = Field(min_length=1)
    by: str = Field(min_length=1)
    expires: datetime.date


class ImageSelection(_Part):
    """Which images, in which form."""

    form: Literal["dicom", "nifti", "both", "none"] = "dicom"
    modalities: tuple[str, ...] = ()

    @property
    def files(self) -> bool:
        """Whether DICOM files leave."""
        return self.form in ("dicom", "both")

    @property
    def volumes(self) -> bool:
        """Whether volumes leave."""
        return self.form in ("nifti", "both")


class ProjectFile(_Part):
    """The fields of a project's file."""

    project: str
    title: str = Field(min_length=1)
    approval: Approval
    cohort: str
    images: ImageSelection = ImageSelection()
    tables: dict[str, Literal["all"] | tuple[str, ...]] = {}
    reject: dict[str, Any] = {}
    block: tuple[str, ...] = ()
    review: tuple[str, ...] = ()

    @field_validator("cohort")
    @classmethod
    def _names_a_list(cls, cohort: str) -> str:
        if not _COHORT.fullmatch(cohort):
            raise ValueError("it is not NAME@NUMBER, a frozen list of a cohort")
        return cohort


@dataclass(frozen=True)
class Project:
    """One project.

    Parameters
    ----------
    file : ProjectFile
        What its file says.
    rejection : Checked or None
        Its rules of rejection as sets of the cohort language, in order; None without any.
    review : Rules
        Rules in IsIdentifiable's form for what stays in headers.
    """

    file: ProjectFile
    rejection: Checked | None
    review: Rules

    @property
    def id(self) -> str:
        """Its id: the name of its file, its folder and its key."""
        return self.file.project

    @property
    def cohort(self) -> tuple[str, int]:
        """Name and number of its frozen list."""
        found = _COHORT.fullmatch(self.file.cohort)
        assert found is not None  # the model refuses anything else
        return found[1], int(found[2])

    def columns(self, contract: Contract) -> tuple[str, ...]:
        """Return the columns of a table that it may have, in the table's order; none of a table not asked for."""
        allowed = self.file.tables.get(short_name(contract), ())
        names = [column.name for column in contract.columns if column.name not in NEVER]
        return tuple(name for name in names if allowed == ALL or name in allowed)

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of what decides the content of its extracts; approval and title do not."""
        told = self.file.model_dump(mode="json", exclude={"approval", "title", "review"})
        return hashlib.sha256(json.dumps([told, repr(self.review)], sort_keys=True).encode()).hexdigest()


def short_name(contract: Contract) -> str:
    """Return a table's name as cohorts and projects call it."""
    return contract.name.removeprefix("ehr_")


def offered() -> dict[str, Contract]:
    """Return the tables that a project may ask for, by the names that it calls them."""
    known = contracts()
    images = {name: known[f"deidentified.{name}"] for name in IMAGE_TABLES}
    return images | {short_name(made): made for made in RECORD_TWINS.values()}


def find(name: str, folder: Path) -> Path:
    """Return the file of a project: a path, or a name in a folder.

    Raises
    ------
    CairnError
        PROJECT_MISSING, with the nearest name.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in known:
        raise CairnError("PROJECT_MISSING", name=name, folder=folder, nearest=nearest(name, known))
    return folder / f"{name}.yaml"


def load(path: Path, codelists: Mapping[str, CodeList]) -> Project:
    """Read a project's file.

    Parameters
    ----------
    path : pathlib.Path
        The file; it is called like the project.
    codelists : mapping of str to CodeList
        Lists that its rules of rejection may use.

    Raises
    ------
    CairnError
        PROJECT_WRONG, with what and where; COHORT_RULE for a rule of rejection that is none.
    """
    try:
        tree = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        why = getattr(fault, "strerror", None) or "it is no YAML"
        raise CairnError("PROJECT_WRONG", path=path, place="the file", why=why, nearest="") from None
    if not isinstance(tree, dict):
        raise CairnError("PROJECT_WRONG", path=path, place="the file", why="it holds no fields", nearest="")
    try:
        file = ProjectFile.model_validate(tree)
    except ValidationError as fault:
        raise _as_cairn_error(path, fault.errors()[0]) from None
    if file.project in (SITE, SIGNING) or not NAME.fullmatch(file.project):
        why = "use lower-case letters, digits, - and _; site and signing are taken"
        raise CairnError("PROJECT_WRONG", path=path, place="project", why=why, nearest="")
    if file.project != path.stem:
        why = f"the file is called {path.stem}"
        raise CairnError("PROJECT_WRONG", path=path, place="project", why=why, nearest="")
    _check_tables(path, file)
    review = sum((read_rules(path.parent / name) for name in file.review), Rules())
    return Project(file, rules_of(file.reject, codelists, str(path)), review)


def refuse_expired(project: Project, today: datetime.date) -> None:
    """Refuse a project whose approval has run out: nothing is made for it and nothing released.

    Raises
    ------
    CairnError
        PROJECT_EXPIRED.
    """
    approval = project.file.approval
    if today > approval.expires:
        raise CairnError("PROJECT_EXPIRED", project=project.id, reference=approval.reference, expires=approval.expires)


def _check_tables(path: Path, file: ProjectFile) -> None:
    known = offered()
    for name, columns in file.tables.items():
        if name not in known:
            why = f"no table is called {name}"
            raise CairnError("PROJECT_WRONG", path=path, place="tables", why=why, nearest=nearest(name, known))
        has = [column.name for column in known[name].columns if column.name not in NEVER]
        for column in () if columns == ALL else columns:
            if column not in has:
                why = f"it has no column {column}" if column not in NEVER else f"{column} is in no table of an extract"
                near = nearest(column, has)
                raise CairnError("PROJECT_WRONG", path=path, place=f"tables.{name}", why=why, nearest=near)


def _as_cairn_error(path: Path, detail: ErrorDetails) -> CairnError:
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        fields = {"approval": list(Approval.model_fields), "images": list(ImageSelection.model_fields)}
        above = str(detail["loc"][0]) if len(detail["loc"]) > 1 else ""
        near = nearest(str(detail["loc"][-1]), fields.get(above, list(ProjectFile.model_fields)))
        return CairnError("PROJECT_WRONG", path=path, place=place, why="there is no such field", nearest=near)
    return CairnError("PROJECT_WRONG", path=path, place=place, why=detail["msg"], nearest="")
