"""Write-ahead intents: a batch that touches several tables is visible in all of them or in none, after any kill.

Delta's transactions span one table. So the driver first writes down, in one small file, every file of every table and
the batch's token; then commits table by table; then removes the note. Before the note exists nothing is visible; once
it exists, whoever comes next finishes it, and tables that have the token already are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cairn.errors import CairnError
from cairn.spark import delta_log
from cairn.spark.delta_log import Token
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.contract import Contract

FOLDER = "_intents"


@dataclass(frozen=True)
class Intent:
    """All that one batch commits.

    Parameters
    ----------
    stage, run : str
        Whose it is.
    batch : int
        Number of the batch.
    tables : mapping of str to sequence of str
        Full table name to ``add`` actions.
    """

    stage: str
    run: str
    batch: int
    tables: Mapping[str, Sequence[str]]

    @property
    def name(self) -> str:
        """File name of the note."""
        return f"{self.stage}-{self.run}-{self.batch:06d}.json"

    @property
    def token(self) -> Token:
        """The batch's token, the same in every table."""
        return Token(f"cairn/{self.stage}/{self.run}", self.batch)


def folder(store: Store) -> Folder:
    """Return the folder of the notes, in the identifiable zone."""
    return Folder(store.settings.zone_root("identifiable")).child(FOLDER)


def commit(store: Store, intent: Intent, contracts: Sequence[Contract]) -> None:
    """Note the intent, carry it out, remove the note."""
    record = {"stage": intent.stage, "run": intent.run, "batch": intent.batch, "tables": intent.tables}
    folder(store).make().write(intent.name, json.dumps(record).encode())
    _carry_out(store, intent, contracts)


def roll_forward(store: Store, stage: str, contracts: Sequence[Contract]) -> int:
    """Finish what killed runs of a stage had noted; returns how many batches.

    Raises
    ------
    CairnError
        INTENT_BROKEN when files of a half-committed batch are gone.
    """
    notes = [name for name in folder(store).names() if name.startswith(f"{stage}-") and name.endswith(".json")]
    for name in notes:
        intent = Intent(**json.loads(folder(store).read(name)))
        _carry_out(store, intent, contracts)
    return len(notes)


def _carry_out(store: Store, intent: Intent, contracts: Sequence[Contract]) -> None:
    known = {contract.full_name: contract for contract in contracts}
    waiting = [known[name] for name in intent.tables if not _is_committed(store, known[name], intent.token)]
    if all(_files_are_there(store, contract, intent.tables[contract.full_name]) for contract in waiting):
        for contract in waiting:
            store.commit_files(contract, intent.tables[contract.full_name], intent.token)
    elif len(waiting) < len(intent.tables):
        raise CairnError("INTENT_BROKEN", stage=intent.stage, run=intent.run, batch=intent.batch)
    folder(store).remove(intent.name)  # with nothing committed and files gone, the batch is simply done again


def _is_committed(store: Store, contract: Contract, token: Token) -> bool:
    return delta_log.last_version(store.spark, store.location(contract), token.application) >= token.version


def _files_are_there(store: Store, contract: Contract, adds: Sequence[str]) -> bool:
    root = store.folder(contract)
    paths = [root.file(json.loads(add)["add"]["path"]) for add in adds]
    return all(info.is_file for info in root.filesystem.get_file_info(paths))
