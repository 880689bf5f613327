"""The job `quality`: check tables of one or both zones, and write the pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import functions as F

from cairn.pipelines.quality import RESULTS, Checked, check, latest, named
from cairn.pipelines.quality_gates import open_zones
from cairn.quality.pages import Trend, write_pages
from cairn.spark.ledger import Run
from cairn.spark.store import Store
from cairn.tables.quality import ERROR


def check_tables(
    store: Store, run: Run, tables: Sequence[str], zone: str = "", accept: bool = False, docs: Path | None = None
) -> Checked:
    """Check tables, and write the pages of the last results of all tables.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        Id, clock and counts.
    tables : sequence of str
        Their names; empty: all that there are.
    zone : str
        One zone; empty: both.
    accept : bool
        As in :func:`cairn.pipelines.quality.check`.
    docs : pathlib.Path, optional
        Folder for the pages.

    Raises
    ------
    CairnError
        QUALITY_NO_SUITE, STAGE_BUSY.
    """
    zones = tuple(name for name in open_zones(store) if not tables and zone in ("", name))
    checked = check(store, run, named(tables, zone), zones, accept)
    if docs is not None:
        shown = [name for name in RESULTS if zone in ("", name)]
        write_pages(docs, latest(store, shown), trends(store, shown))
    return checked


def trends(store: Store, zones: Sequence[str], runs: int = 30) -> dict[str, list[Trend]]:
    """Return what the last runs of each table said, the oldest first."""
    found: dict[str, list[Trend]] = {}
    failed = ~F.col("success")
    for zone in zones:
        if not store.exists(RESULTS[zone]):
            continue
        grouped = (
            store.read(RESULTS[zone])
            .groupBy("table", "run")
            .agg(
                F.max("judged").alias("judged"),
                F.max("rows").alias("rows"),
                F.count_if("success").alias("passed"),
                F.count_if(failed & (F.col("severity") == ERROR)).alias("errors"),
                F.count_if(failed & (F.col("severity") != ERROR)).alias("warnings"),
            )
        )
        for row in grouped.orderBy("judged").collect():
            point = Trend(row["judged"], row["rows"], row["passed"], row["errors"], row["warnings"])
            found.setdefault(row["table"], []).append(point)
    return {table: points[-runs:] for table, points in found.items()}
