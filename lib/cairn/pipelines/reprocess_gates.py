"""What must hold of the tables beside before they take the place of the live ones. Each gate tells what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pyspark.sql import functions as F

from cairn.errors import CairnError
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.header_task import STAGE
from cairn.pipelines.quality import check
from cairn.pipelines.reprocess_build import swapped
from cairn.pipelines.verify import verify
from cairn.spark.beside import BesideStore
from cairn.spark.ledger import Run
from cairn.tables.crossing import CROSSING
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quality_suites import suites
from cairn.tables.quarantine import QUARANTINE

Gate = Callable[[BesideStore], Iterator[str]]
ENTRY = ["uri", "content_version"]


def pass_gates(beside: BesideStore, run: Run, terms: Terms | None, more: Sequence[Gate] = ()) -> None:
    """Refuse tables that do not pass.

    Parameters
    ----------
    beside : BesideStore
        The set.
    run : Run
        Under which the verdicts of the quality suites are kept, in the set.
    terms : Terms, optional
        Under what its de-identified tables were made; without them it has none.
    more : sequence of callable
        Further gates of the site.

    Raises
    ------
    CairnError
        REPROCESS_CLOSED with all that is wrong.
    """
    gates: list[Gate] = [accounted, readable, one_primary, *more]
    told = [fault for gate in gates for fault in gate(beside)]
    if terms is not None:
        told += crossed(beside)
        told += without_leaks(beside, terms) if beside.settings.reprocess.verify else ()
    if beside.settings.quality.gates:
        told += suites_hold(beside, run)
    if told:
        raise CairnError("REPROCESS_CLOSED", told="; ".join(told))


def accounted(beside: BesideStore) -> Iterator[str]:
    """Every kept header is one row of `instance` or of `quarantine`, and no entry is twice in them."""
    instances = beside.read(INSTANCE).select(*ENTRY)
    refused = beside.read(QUARANTINE).where(F.col("stage") == STAGE).select(*ENTRY)
    both = instances.unionByName(refused)
    lost = beside.read(HEADER_BLOB).select(*ENTRY).join(both, ENTRY, "left_anti").count()
    if lost:
        yield f"{lost:,} kept headers have a row neither in instance nor in quarantine"
    twice = both.groupBy("uri").count().where("count > 1").count()
    if twice:
        yield f"{twice:,} entries have more than one row"


def readable(beside: BesideStore) -> Iterator[str]:
    """What was readable before still is, up to the share that the settings allow."""
    live = beside.live.read(INSTANCE).select("uri")
    before = live.count()
    lost = live.join(beside.read(INSTANCE).select("uri"), "uri", "left_anti").count()
    if lost > before * beside.settings.reprocess.most_lost:
        yield f"{lost:,} of {before:,} entries that were readable are not any more (setting reprocess.most_lost)"


def one_primary(beside: BesideStore) -> Iterator[str]:
    """No SOPInstanceUID has two primary entries."""
    primary = beside.read(INSTANCE).where("is_primary AND sop_instance_uid IS NOT NULL")
    several = primary.groupBy("sop_instance_uid").count().where("count > 1").count()
    if several:
        yield f"{several:,} SOPInstanceUIDs have more than one primary entry"


def crossed(beside: BesideStore) -> Iterator[str]:
    """The way of every primary entry into the de-identified zone was decided, with the parser of now."""
    decided = beside.read(CROSSING).select("uri", "content_version", F.col("parser_version").alias("_made_with"))
    kept = beside.read(HEADER_BLOB).select(*ENTRY)
    primary = beside.read(INSTANCE).where("is_primary").join(kept, ENTRY, "left_semi")
    with_both = primary.select(*ENTRY, "parser_version").join(decided, ENTRY, "left")
    same = F.col("_made_with").eqNullSafe(F.col("parser_version"))
    undecided = with_both.where(~same).count()
    if undecided:
        yield f"{undecided:,} primary entries were not decided upon"


def without_leaks(beside: BesideStore, terms: Terms) -> Iterator[str]:
    """The verifier finds nobody in the new tables."""
    leaks = verify(beside, terms)
    if leaks:
        tables = sorted({f"{leak.table}.{leak.column} ({leak.rule})" for leak in leaks})
        yield f"the verifier found {len(leaks):,} cells that tell of persons: {', '.join(tables[:8])}"


def suites_hold(beside: BesideStore, run: Run) -> Iterator[str]:
    """No expectation of severity ``error`` fails on the new tables; drift is measured against the live ones."""
    made = [table.full_name for table in swapped(beside) if table.full_name in suites()]
    for verdict in check(beside, run, made, against=beside.live).closing:
        yield f"{verdict.table}: {verdict.told}"
