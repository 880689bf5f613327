"""An extract that is asked for: what it is called, where it goes, and all that must be right before work begins."""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from cairn.deid.keys import SIGNING, MasterKey, key_path, read_key
from cairn.errors import CairnError
from cairn.extract import project as projects
from cairn.extract.layout import STAGING, UNDELIVERED, extract_name
from cairn.extract.project import Project, refuse_expired
from cairn.pipelines.cohort_definition import load_lists
from cairn.pipelines.cohort_freeze import find_frozen
from cairn.pipelines.deidentify_records import with_register
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.extract_members import withdrawn
from cairn.pipelines.job import Job
from cairn.pixels.text.device_rules import DeviceRule
from cairn.pixels.text.finder import TEXT_VERSION
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.crossing import CROSSING
from cairn.tables.extract import EXTRACT, EXTRACT_ITEM, WITHDRAWAL

REPORTS = "_extracts"
STAGED, RELEASED = "staged", "released"

ACCOUNT = ("delivered", "rejected", "withheld", "unreadable", "unmatched")


@dataclass(frozen=True)
class Made:
    """One extract after a run.

    Attributes
    ----------
    project, extract : str
        Whose, and its name.
    counts : dict
        ``members`` = ``delivered`` + ``rejected`` + ``withheld`` + ``unreadable`` + ``unmatched``; and bytes.
    rejected, codes : dict
        Rejected ones by rule; withheld and unreadable ones by code.
    tables : dict
        Rows by table.
    state : str
        staged or released; empty after a dry run.
    left_out : dict
        Cells of tables left empty because the verifier found something: how many, by table, column and rule.
    """

    project: str
    extract: str
    counts: dict[str, int]
    rejected: dict[str, int]
    codes: dict[str, int]
    tables: dict[str, int] = field(default_factory=dict)
    state: str = ""
    left_out: dict[str, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return it in words."""
        n = self.counts
        parts = " + ".join(f"{n[name]:,} {name}" for name in ACCOUNT)
        told = [f"{self.project}, {self.extract}: {n['members']:,} members = {parts}"]
        told += [f"  rejected by {rule}: {count:,}" for rule, count in self.rejected.items()]
        told += [f"  kept back, {code}: {count:,}" for code, count in self.codes.items()]
        told.append(f"  {n['bytes']:,} bytes of images, {n['redacted']:,} of them with blanked text")
        if self.tables:
            told.append("  tables: " + ", ".join(f"{name} {count:,}" for name, count in self.tables.items()))
        told += [f"  cells left empty, {place}: {count:,}" for place, count in self.left_out.items()]
        if self.state:
            told.append(f"  {self.state}")
        return told


@dataclass(frozen=True)
class Request:
    """What is to be extracted, and under what.

    Parameters
    ----------
    project : Project
        The project.
    site : Terms
        The site's terms.
    rules : tuple of DeviceRule
        Device rules for burnt-in text.
    today : datetime.date
        For the approval.
    """

    project: Project
    site: Terms
    rules: tuple[DeviceRule, ...]
    today: datetime.date

    @property
    def own(self) -> Terms:
        """The project's terms: its key on top of the site's."""
        return replace(self.site, key_names=(*self.site.key_names, self.project.id))


@dataclass(frozen=True)
class Making:
    """An extract while it is made.

    Parameters
    ----------
    store : Store
        The tables.
    request : Request
        What, under what; its terms have all opt-outs.
    name : str
        The extract's.
    cohort : Row
        Its row of `cohort`.
    staging : Folder
        Its folder.
    """

    store: Store
    request: Request
    name: str
    cohort: Any
    staging: Folder

    @property
    def files(self) -> Folder:
        """Where DICOM files are staged: in the extract, or beside it when only their volumes leave."""
        images = self.project.file.images
        return Folder(self.staging.uri + UNDELIVERED) if images.volumes and not images.files else self.staging

    @property
    def project(self) -> Project:
        """Whose it is."""
        return self.request.project


def project_named(name: str, conf: Path) -> Project:
    """Return a project by its file, or by its name in ``projects`` of a folder of settings.

    Raises
    ------
    CairnError
        PROJECT_MISSING, and as :func:`cairn.extract.project.load`.
    """
    return projects.load(projects.find(name, conf / "projects"), load_lists(conf / "codelists"))


def requested(project: Project, site: Terms, job: Job, rules: tuple[DeviceRule, ...] = ()) -> Request:
    """Return a request of today, by the job's clock."""
    today = datetime.datetime.fromtimestamp(job.clock(), datetime.UTC).date()
    return Request(project, site, rules, today)


def staging_of(store: Store, project: str) -> Folder:
    """Return the folder of a project's staged extracts.

    Raises
    ------
    CairnError
        PPZ_NOT_LOCAL.
    """
    root = Folder(store.settings.zone_root("ppz"))
    if not root.is_local:
        raise CairnError("PPZ_NOT_LOCAL", path=root.uri)
    return root.child(project).child(STAGING)


def report_folder(store: Store, project: str, extract: str) -> Folder:
    """Return where the data controller's reports of an extract lie: in the identifiable zone."""
    return Folder(store.settings.zone_root("identifiable")).child(REPORTS).child(project).child(extract)


def begun(store: Store, request: Request) -> Making:
    """Check all that an extract needs before anything is done for it.

    Raises
    ------
    CairnError
        PROJECT_EXPIRED, SIGNING_KEY_UNSET, as :func:`cairn.deid.keys.read_key`, PPZ_NOT_LOCAL, COHORT_NOT_FROZEN,
        TERMS_DIFFER.
    """
    project = request.project
    refuse_expired(project, request.today)
    signing_key(request.site)
    staging = staging_of(store, project.id)
    request = replace(request, site=with_register(store, request.site))
    request.own.pseudonyms()
    if not store.read(CROSSING).where(F.col("version") != request.site.version()).isEmpty():
        raise CairnError("TERMS_DIFFER")
    cohort = find_frozen(store, *project.cohort)
    store.ensure(EXTRACT, EXTRACT_ITEM, WITHDRAWAL)
    name = name_of(store, request, cohort)
    return Making(store, request, name, cohort, staging.child(name))


def signing_key(terms: Terms) -> MasterKey:
    """Return the key that signs extracts.

    Raises
    ------
    CairnError
        SIGNING_KEY_UNSET, and as :func:`cairn.deid.keys.read_key`.
    """
    try:
        return read_key(Path(terms.keys), SIGNING)
    except CairnError as fault:
        if fault.code == "KEY_MISSING":
            raise CairnError("SIGNING_KEY_UNSET", path=key_path(Path(terms.keys), SIGNING)) from None
        raise


def left_out(store: Store, request: Request) -> str:
    """Return a hash, under the project's key, of who opted out or was withdrawn: lists can be guessed."""
    gone = sorted(row["person"] for row in withdrawn(store, request.project.id).collect())
    told = "\n".join([*sorted(request.site.opt_outs), "", *gone]).encode("utf-8", "surrogateescape")
    return request.own.pseudonyms().uid(hashlib.sha256(told).hexdigest())


def name_of(store: Store, request: Request, cohort: Any) -> str:
    """Return what an extract made now is called: by its list, and a hash of all else that decides what it holds.

    The archive itself is not in it.

    Parameters
    ----------
    store : Store
        The tables.
    request : Request
        With all opt-outs in its terms.
    cohort : Row
        Of `cohort`: the frozen list.
    """
    rules = [repr(rule) for rule in request.rules]
    gone = left_out(store, request)
    told = [request.project.hash, cohort["list_hash"], request.own.version(), gone, TEXT_VERSION, rules]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return extract_name(cohort["cohort"], cohort["cohort_version"], digest)
