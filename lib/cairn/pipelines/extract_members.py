"""From the members of a frozen list to entries of the archive, set-wise, and which of them the rules reject.

Members bear the site's pseudonyms. They are led back by computing the pseudonyms of the persons and instances that
crossed, of the cohort's persons only; no list of pseudonyms beside real values is ever written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.cohort.sql import compiled
from cairn.extract.project import Project
from cairn.extract.rejection import BLOCKED, OPTED_OUT, OTHER_MODALITY, WITHDRAWN, key_of
from cairn.pipelines.cohort_freeze import members_of
from cairn.pipelines.cohort_run import carried_out
from cairn.pipelines.deidentify_records import opted_out, owners
from cairn.pipelines.deidentify_task import CROSSED, Terms
from cairn.spark.fixed import fixed
from cairn.spark.stage import archive_candidates
from cairn.spark.store import Store
from cairn.spark.udfs import person_udf, uid_udf
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import DEIDENTIFIED_INSTANCE
from cairn.tables.extract import WITHDRAWAL
from cairn.tables.person import PERSON

UIDS = ("sop_instance_uid", "series_instance_uid", "study_instance_uid")
RULE, GONE = "rule", "gone"


@dataclass(frozen=True)
class Selection:
    """What a cohort's members come to.

    Attributes
    ----------
    items : DataFrame
        One row an instance: its de-identified UIDs, ``person_id``, ``modality``, ``sop_class_uid``, ``file_size``, and
        of the entry ``uri``, ``content_version`` and the real ``person``; ``rule``, by which it is rejected, or NULL;
        ``gone``: whether the archive has lost it.
    unmatched : DataFrame
        Members of which no instance is known: ``member``, ``person_id``, ``role``.
    persons : DataFrame
        ``person`` (real) and ``person_id`` (the site's) of all members.
    """

    items: DataFrame
    unmatched: DataFrame
    persons: DataFrame

    @property
    def passed(self) -> DataFrame:
        """The items that are to be delivered: no rule rejects them, and the archive still has them."""
        return self.items.where(F.col(RULE).isNull() & ~F.col(GONE))


def selected(store: Store, project: Project, site: Terms) -> Selection:
    """Resolve a project's cohort; what is returned stays as it is whatever happens to the tables.

    Parameters
    ----------
    store : Store
        The tables.
    project : Project
        Whose.
    site : Terms
        The site's terms, with all opt-outs.

    Raises
    ------
    CairnError
        TABLE_MISSING.
    """
    members = members_of(store, *project.cohort).persist()
    instances = _instances(store, members).persist()
    known = instances.select(F.explode("members").alias("member")).distinct()
    unmatched = members.join(known, "member", "left_anti").select("member", "person_id", "role")
    persons = fixed(_real_persons(store, site, members))
    entries = _entries(store, site, persons)
    steps = compiled(project.rejection).steps if project.rejection else ()
    sets = tuple(step for step in steps if step.kind == "set")
    with carried_out(store, sets) as resolved:
        items = instances.drop("members").join(entries, "sop_instance_uid", "left")
        frames = {name: resolved.frames[f"set_{name}"] for name in project.rejection.sets} if project.rejection else {}
        ruled = _ruled(store, project, items, site, frames)
        selection = Selection(fixed(ruled), fixed(unmatched), persons)
    instances.unpersist()
    members.unpersist()
    return selection


def _instances(store: Store, members: DataFrame) -> DataFrame:
    """Return the instances of members that are instances, series or studies, each once, with its ``members``.

    A series may hold images of two people by mistake: those of who is no member do not come along.
    """
    columns = (*UIDS, "person_id", "modality", "sop_class_uid", "file_size")
    every = store.read(DEIDENTIFIED_INSTANCE).select(*columns)
    given = F.col("member")
    found = []
    for uid in UIDS:
        own = members.where(F.col(uid) == given).select(uid, "person_id", given.alias("_member")).distinct()
        found.append(every.join(own, [uid, "person_id"]).select(*columns, "_member"))
    rows = reduce(DataFrame.unionByName, found)
    return rows.groupBy(*columns).agg(F.collect_set("_member").alias("members"))


def _entries(store: Store, site: Terms, persons: DataFrame) -> DataFrame:
    """Return the entries of the members' persons, by their de-identified SOP Instance UID."""
    crossed = store.read(CROSSING).where(F.col("outcome") == CROSSED).join(persons.select("person"), "person")
    uid = uid_udf(site)("instance").alias("sop_instance_uid")
    return crossed.select("uri", "content_version", "person", uid)


def _real_persons(store: Store, site: Terms, members: DataFrame) -> DataFrame:
    """Return ``person`` (real) and ``person_id`` (the site's) of the persons of some rows with ``person_id``."""
    everybody = store.read(CROSSING).where("person IS NOT NULL").select("person")
    if store.exists(PERSON):
        everybody = everybody.unionByName(store.read(PERSON).select(F.col("patient_id").alias("person")))
    named = everybody.distinct().withColumn("person_id", person_udf(site)("person"))
    return named.join(members.select("person_id").distinct(), "person_id", "left_semi")


def _ruled(
    store: Store, project: Project, items: DataFrame, site: Terms, sets: Mapping[str, DataFrame]
) -> DataFrame:  # fmt: skip
    """Add the first rule by which each item is rejected, and whether its entry is gone."""
    marks: list[Column] = []
    out = items
    for name, keys, key in (
        (WITHDRAWN, withdrawn(store, project.id), "person"),
        (OPTED_OUT, opted_out(store, site), "person"),
        *((rule, frame, key_of(project.rejection, rule)) for rule, frame in sets.items() if project.rejection),
    ):
        mark = f"_rule_{len(marks)}"
        marked = keys.select(key).distinct().withColumn(mark, F.lit(name))
        out = out.join(marked, key, "left")
        marks.append(F.col(mark))
    blocked = F.lit(False)
    for column in (*UIDS, "person_id"):
        blocked = blocked | F.coalesce(F.col(column).isin(list(project.file.block)), F.lit(False))
    wanted = list(project.file.images.modalities)
    other = ~F.coalesce(F.col("modality").isin(wanted), F.lit(False)) if wanted else F.lit(False)
    first = (*marks[:2], F.when(blocked, BLOCKED), F.when(other, OTHER_MODALITY), *marks[2:])
    present = archive_candidates(store).select("uri", "content_version", F.lit(True).alias("_present"))
    out = out.join(present, ["uri", "content_version"], "left")
    out = out.withColumns({RULE: F.coalesce(*first), GONE: F.col("uri").isNull() | F.col("_present").isNull()})
    return out.drop("_present", *(f"_rule_{number}" for number in range(len(marks))))


def withdrawn(store: Store, project: str) -> DataFrame:
    """Return the persons withdrawn from a project, under every number of theirs."""
    rows = store.read(WITHDRAWAL).where(F.col("project") == project).select("person")
    known = owners(store)
    if known is None:
        return rows
    led = known.join(rows.withColumnRenamed("person", "number_key"), "number_key").select(
        F.col("owner").alias("person")
    )
    return rows.unionByName(led).distinct()
