"""`extract`: a frozen cohort becomes files and tables in a project's staging folder, verified, listed and signed.

What an extract is called and holds follows from its frozen list, the project's file, the rules, the keys, and who opted
out or was withdrawn; made again it is the same, byte for byte. Killed at any moment and run again it goes on. Only
`release` makes it visible.
"""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.dicom.warm import ensure_compiled
from cairn.errors import CairnError
from cairn.pipelines.deidentify_records import opted_out
from cairn.pipelines.extract_collect import FILE, collected, forget_items, items_of, pruned
from cairn.pipelines.extract_members import GONE, RULE, Selection, selected, withdrawn
from cairn.pipelines.extract_request import ACCOUNT, RELEASED, STAGED, Made, Making, Request, begun, report_folder
from cairn.pipelines.extract_review import write_review
from cairn.pipelines.extract_signed import record, signed, write_report
from cairn.pipelines.extract_tables import TablesOf, write_tables
from cairn.pipelines.extract_task import DELIVERED, FOUND, PERSON, SEARCHED, STAGE, UNREADABLE, WITHHELD, ExtractWork
from cairn.pipelines.extract_volumes import Volumes, made_volumes, write_account
from cairn.pixels.text.finder import TEXT_VERSION
from cairn.spark.fixed import fixed
from cairn.spark.ledger import Run
from cairn.spark.stage import Stage, archive_candidates, run_stage
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH
from cairn.tables.crossing import CROSSING
from cairn.tables.extract import EXTRACT, EXTRACT_ITEM

LOOKED_AT = ("pixels", "evidence", "device_regions", "frames", "frames_looked")
BOX = ("x", "y", "width", "height", "frame", "last_frame", "plane")
ENTRIES_PER_TASK = 2_000


def extract(
    store: Store, run: Run, scratch: Folder, stream: TextIO, request: Request, dry_run: bool = False
) -> Made:  # fmt: skip
    """Make an extract in the staging folder, or say what it would hold.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        Id, clock and counts.
    scratch : Folder
        The run's shared scratch folder.
    stream : text stream
        For progress lines.
    request : Request
        What, under what.
    dry_run : bool
        Whether nothing is written.

    Raises
    ------
    CairnError
        PROJECT_EXPIRED, SIGNING_KEY_UNSET, as :func:`cairn.deid.keys.read_key`, PPZ_NOT_LOCAL, COHORT_NOT_FROZEN,
        TERMS_DIFFER, EXTRACT_SHORT, EXTRACT_LEAK, NO_DISK, and as :func:`cairn.spark.stage.run_stage`.
    """
    making = begun(store, request)
    if not dry_run:
        done = _known(making)
        if done is not None:
            return done
    selection = selected(store, making.project, making.request.site)
    counts, rejected = _account(selection)
    if dry_run:
        return _would(making, selection, counts, rejected)
    _forget_others(making)
    ensure_compiled(stream)
    _run_stage(making, run, scratch, stream, selection)
    return _finished(making, run, scratch, selection, counts, rejected)


def _known(making: Making) -> Made | None:
    """Return an extract that was released already: nothing is made twice that a project has."""
    own = (F.col("project") == making.project.id) & (F.col("extract") == making.name)
    row = making.store.read(EXTRACT).where(own & (F.col("state") == RELEASED)).first()
    if row is None:
        return None
    return Made(
        making.project.id, making.name, dict(row["counts"]), {}, {}, {}, f"released on {row['released']:%Y-%m-%d}"
    )


def _account(selection: Selection) -> tuple[dict[str, int], dict[str, int]]:
    """Return counts of what is decided before any entry is read, and the rejected ones by rule."""
    by_rule = selection.items.where(F.col(RULE).isNotNull()).groupBy(RULE).count()
    rejected = {row[RULE]: row["count"] for row in by_rule.orderBy(F.desc("count"), RULE).collect()}
    passed = selection.items.where(F.col(RULE).isNull())
    gone, unmatched = passed.where(GONE).count(), selection.unmatched.count()
    total = selection.items.count() + unmatched
    return {"members": total, "rejected": sum(rejected.values()), "unmatched": unmatched, "gone": gone}, rejected


def _would(making: Making, selection: Selection, counts: dict[str, int], rejected: dict[str, int]) -> Made:
    row = selection.passed.agg(F.count("*").alias("n"), F.sum("file_size").alias("b")).collect()[0]
    counts = counts | {"delivered": row["n"], "withheld": 0, "unreadable": counts["gone"], "bytes": row["b"] or 0}
    return Made(making.project.id, making.name, counts | {"redacted": 0}, rejected, {})


def _forget_others(making: Making) -> None:
    """Remove what an earlier definition, key or opt-out left in staging: it must not be released any more.

    Rows without their files go too, first: an entry whose row says that it is delivered would not be done again.
    """
    staging = Folder(making.staging.uri.rpartition("/")[0])
    own_folders = {Path(folder.path).name for folder in (making.staging, making.files)}
    others = [name for name in staging.names(folders=True) if name not in own_folders]
    lost = others if making.files.exists() else [*others, making.name]
    own = (F.col("project") == making.project.id) & F.col("extract").isin(lost)
    forget_items(making.store, making.store.read(EXTRACT_ITEM).where(own))
    for name in others:
        staging.remove_folder(name)
    making.staging.make()
    making.files.make()


def _run_stage(making: Making, run: Run, scratch: Folder, stream: TextIO, selection: Selection) -> None:
    own, store, settings = making.request.own, making.store, making.store.settings
    wanted = selection.passed if _has_images(making) else selection.items.limit(0)
    wanted = wanted.select("uri", "content_version", PERSON)

    def candidates(store: Store) -> DataFrame:
        entries = archive_candidates(store).join(wanted, ["uri", "content_version"])
        return with_text(store, entries)

    def settled(store: Store) -> DataFrame:
        done = items_of(store, making.project.id, making.name)
        # What could not be read is tried again by every run: it may be back, or as it was.
        return done.where(F.col("outcome") != UNREADABLE).select("uri", "content_version")

    def forget(store: Store, entries: DataFrame) -> None:
        rows = items_of(store, making.project.id, making.name)
        forget_items(store, rows.join(entries.select("uri"), "uri", "left_semi"))

    work = ExtractWork(
        making.project.id, making.name, own, own.version(), making.files.uri, settings.pixels, making.request.rules,
        making.project.review, settings.headers, run.id,
    )  # fmt: skip
    stage = Stage(
        name=STAGE,
        work=work,
        targets=(EXTRACT_ITEM,),
        accounts=(EXTRACT_ITEM.name,),
        candidates=candidates,
        settled=settled,
        source=CROSSING,
        entries_per_task=ENTRIES_PER_TASK,
        forget=forget,
    )
    run_stage(stage, store, run, scratch, stream)


def _has_images(making: Making) -> bool:
    return making.project.file.images.form != "none"


def with_text(store: Store, entries: DataFrame) -> DataFrame:
    """Add what the pixel stage says of text in each entry as it is now: NULL where it has not looked."""
    if not store.exists(TEXT_SEARCH):
        raise CairnError("TABLE_MISSING", table=TEXT_SEARCH.full_name, job="pixels")
    key = ["uri", "content_version"]
    current = F.col("algorithm_version") == TEXT_VERSION
    searched = store.read(TEXT_SEARCH).where(current).select(*key, F.struct(*LOOKED_AT).alias(SEARCHED))
    found = store.read(BURNED_IN_TEXT).where(current).groupBy(*key).agg(
        F.sort_array(F.collect_list(F.struct(*BOX))).alias(FOUND)
    )  # fmt: skip
    return entries.join(searched, key, "left").join(found, key, "left")


def _finished(
    making: Making, run: Run, scratch: Folder, selection: Selection, counts: dict[str, int], rejected: dict[str, int]
) -> Made:  # fmt: skip
    store, project = making.store, making.project
    passed = selection.passed.select("uri", "content_version")
    items = items_of(store, project.id, making.name).join(passed, ["uri", "content_version"], "left_semi").persist()
    files = collected(store, making.files).persist()
    try:
        images = pruned(store, making.name, items, files, making.files)
        volumes = None
        if project.file.images.volumes:
            volumes = made_volumes(making, images, scratch)
            write_account(volumes, report_folder(store, project.id, making.name).make())
            if not project.file.images.files:
                images, items = volumes.within(images), volumes.judged(images, items)
        counts, codes = _outcomes(making, items, counts)
        written = write_tables(_tables(making, selection, images), making.staging, making.name)
        made = Made(project.id, making.name, counts, rejected, codes, written.rows, STAGED, written.left_out)
        document = signed(making, _delivered(making, images, volumes), made)
        write_report(making, selection, items, made)
        write_review(making, items, images)
    finally:
        files.unpersist()
    items.unpersist()
    record(making, run, made, document)
    return made


def _outcomes(making: Making, items: DataFrame, counts: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the counts with what became of each entry, and those that stayed by code."""
    sums = (F.count("*").alias("n"), F.sum("size").alias("bytes"), F.count_if(F.col("boxes") > 0).alias("redacted"))
    outcomes = {row["outcome"]: row for row in items.groupBy("outcome").agg(*sums).collect()}
    counts = counts | {
        name: outcomes[name]["n"] if name in outcomes else 0 for name in (DELIVERED, WITHHELD, UNREADABLE)
    }
    counts[UNREADABLE] += counts.pop("gone")
    if not _has_images(making):
        counts["rejected"] += counts["members"] - sum(counts[name] for name in ACCOUNT)
    delivered = outcomes.get(DELIVERED)
    counts |= {"bytes": delivered["bytes"] if delivered else 0, "redacted": delivered["redacted"] if delivered else 0}
    by_code = items.where("code IS NOT NULL").groupBy("code").count().orderBy(F.desc("count"), "code")
    return counts, {row["code"]: row["count"] for row in by_code.collect()}


def _delivered(making: Making, images: DataFrame, volumes: Volumes | None) -> DataFrame:
    """Return path, size and SHA-256 of the images and volumes that leave."""
    leaving = images.select(*FILE) if making.project.file.images.files else images.select(*FILE).limit(0)
    return leaving if volumes is None else leaving.unionByName(volumes.files.select(*FILE))


def _tables(making: Making, selection: Selection, images: DataFrame) -> TablesOf:
    store, request = making.store, making.request
    persons = selection.persons.join(withdrawn(store, making.project.id), "person", "left_anti")
    persons = persons.join(opted_out(store, request.site), "person", "left_anti")
    persons = persons.where(~F.col("person_id").isin(list(making.project.file.block)))
    return TablesOf(store, making.project, request.site, request.own, fixed(persons), images)
