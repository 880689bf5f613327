"""The account of an archive: what was found, what became of it, and whether it adds up."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE

STAGES = ("inventory", "headers")


@dataclass(frozen=True)
class Account:
    """Entries found, and what became of them.

    Attributes
    ----------
    found : int
        Files and members present in the archive, and archives that could not be opened whole.
    containers : int
        Archives that were opened; their members are among the entries found.
    parsed : int
        Rows of `instance`.
    quarantined : int
        Entries with a row of `quarantine` by inventory or headers.
    gone : int
        Entries that were there once.
    by_modality, by_code : dict
        Parsed entries by modality (``none`` without one); quarantined ones by code.
    """

    found: int
    containers: int
    parsed: int
    quarantined: int
    gone: int
    by_modality: dict[str, int]
    by_code: dict[str, int]

    @property
    def adds_up(self) -> bool:
        """Whether every entry found was parsed or quarantined."""
        return self.found == self.parsed + self.quarantined

    def counts(self) -> dict[str, object]:
        """Return all of it for a JSON line."""
        return {**vars(self), "adds_up": self.adds_up}

    def lines(self) -> list[str]:
        """Return it in words, a line each."""
        sign = "=" if self.adds_up else "IS NOT"
        out = [
            f"entries found {self.found:,} {sign} parsed {self.parsed:,} + quarantined {self.quarantined:,}",
            f"archives opened {self.containers:,}; entries gone since an earlier inventory {self.gone:,}",
        ]
        for title, counts in (("parsed by modality", self.by_modality), ("quarantined by code", self.by_code)):
            told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
            out.append(f"{title}: {told or 'none'}")
        return out


def account(store: Store) -> Account:
    """Return the account of everything that the tables hold."""
    entries = store.read(ARCHIVE_ENTRY)
    present = F.col("state") == "present"
    opened = (F.col("kind") == "container") & F.col("code").isNull()
    row = entries.agg(
        F.count_if(present & ~opened).alias("found"),
        F.count_if(present & opened).alias("containers"),
        F.count_if(~present).alias("gone"),
    ).first()
    assert row is not None
    parsed = store.read(INSTANCE)
    failed = store.read(QUARANTINE).where(F.col("stage").isin(*STAGES))
    by_modality = _counted(parsed.select(F.coalesce("modality", F.lit("none")).alias("name")))
    by_code = _counted(failed.dropDuplicates(["uri"]).select(F.col("code").alias("name")))
    return Account(
        row["found"],
        row["containers"],
        sum(by_modality.values()),
        sum(by_code.values()),
        row["gone"],
        by_modality,
        by_code,
    )


def _counted(names: DataFrame) -> dict[str, int]:
    rows = names.groupBy("name").count().orderBy(F.desc("count"), "name").collect()
    return {row["name"]: row["count"] for row in rows}
