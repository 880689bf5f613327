"""A second set of tables beside the live ones, on which every pipeline runs unchanged.

The tables that are made anew lie in ``_reprocess/<id>`` of their zone's root, with a ledger, locks and intents of their
own, so that what runs there can neither be seen nor disturbed from outside; all other tables are the live ones, read
only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from pyspark.sql import DataFrame

from cairn.settings import Settings
from cairn.spark import delta_log
from cairn.spark.delta_log import Token
from cairn.spark.schema import FINGERPRINT, create_table_sql, fingerprint
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.contract import Contract
from cairn.tables.run import RUN, RUN_BATCH

FOLDER = "_reprocess"


class BesideStore(Store):
    """Tables beside the live ones.

    Parameters
    ----------
    live : Store
        The live tables.
    name : str
        Name of the set.
    made : iterable of Contract
        The tables that it holds; a ledger is always among them.
    """

    def __init__(self, live: Store, name: str, made: Iterable[Contract]) -> None:
        super().__init__(live.spark, settings_beside(live.settings, name))
        self.live = live
        self.name = name
        self.made = {contract.full_name for contract in (*made, RUN, RUN_BATCH)}

    def folder(self, contract: Contract) -> Folder:
        """Return the root folder of a table: in this set, or the live one."""
        return super().folder(contract) if contract.full_name in self.made else self.live.folder(contract)

    def ensure(self, *contracts: Contract) -> None:
        """Create the tables of this set that are missing; live ones are left as they are.

        Raises
        ------
        CairnError
            TABLE_MISSING when a live table is asked for that does not exist.
        """
        for contract in contracts:
            if contract.full_name not in self.made:
                self.read(contract)
            elif not self.exists(contract):
                self.folder(contract).make()
                self.spark.sql(create_table_sql(contract, self.location(contract), unnamed=True))

    def follows(self, contract: Contract) -> bool:
        """Whether a table of this set was made by the contract as it is now; so is one that is not there yet."""
        if not self.exists(contract):
            return True
        return delta_log.table_property(self.spark, self.location(contract), FINGERPRINT) == fingerprint(contract)

    def commit_files(self, contract: Contract, adds: Sequence[str], token: Token) -> int | None:
        """Commit files into a table of this set."""
        self._refuse_live(contract)
        return super().commit_files(contract, adds, token)

    def append_rows(
        self,
        contract: Contract,
        rows: Sequence[dict[str, object]],
        token: Token,
        modified: int,
        instead_of: Token | None = None,
    ) -> int | None:
        """Append a few rows to a table of this set."""
        self._refuse_live(contract)
        return super().append_rows(contract, rows, token, modified, instead_of)

    def remove(self) -> None:
        """Remove the whole set; nothing happens when it is gone already."""
        for zone in ("identifiable", "deidentified"):
            Folder(self.settings.zone_root(zone)).remove_folder()

    def _checked(self, contract: Contract, frame: DataFrame, unique: bool) -> DataFrame:
        self._refuse_live(contract)
        return super()._checked(contract, frame, unique)

    def _merge_into(self, contract: Contract, source: DataFrame, on: Sequence[str] = ()) -> Any:
        self._refuse_live(contract)
        return super()._merge_into(contract, source, on)

    def _refuse_live(self, contract: Contract) -> None:
        if contract.full_name not in self.made:
            raise ValueError(f"{contract.full_name} is a live table; this set only reads it")


def settings_beside(settings: Settings, name: str) -> Settings:
    """Return the settings under which a set beside is made: its own roots, and no more of the machine than allowed."""
    limits = settings.reprocess
    task = min(settings.stage.entries_per_task, limits.entries_per_batch)
    deid_task = min(settings.deid.entries_per_task, limits.entries_per_batch)
    if limits.cores:
        # A batch is one Spark job with a task for each so many entries.
        task = deid_task = math.ceil(limits.entries_per_batch / limits.cores)
    tree = settings.model_dump()
    tree["scratch"]["root"] = settings.scratch_root
    for zone in ("identifiable", "deidentified"):
        tree["warehouse"][zone] = f"{settings.zone_root(zone).rstrip('/')}/{FOLDER}/{name}"
    tree["stage"] |= {
        "entries_per_task": task,
        "entries_per_batch": limits.entries_per_batch,
        "pause_seconds": limits.pause_seconds or settings.stage.pause_seconds,
    }
    tree["deid"]["entries_per_task"] = deid_task
    return Settings.model_validate(tree)
