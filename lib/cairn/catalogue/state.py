"""What the catalogue mirrors: which table, up to which version.

Kept in the catalogue itself, so that one that was emptied or restored is never taken for one that is up to date.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cairn.catalogue import layout
from cairn.catalogue.connection import Connection, told_errors
from cairn.errors import CairnError


@dataclass(frozen=True)
class State:
    """How far the catalogue is with one table.

    Parameters
    ----------
    table : str
        Delta's id of the table.
    epoch : int
        How many tables the catalogue mirrored before this one.
    version : int or None
        The last version that was pushed to the end; None: none was.
    """

    table: str
    epoch: int
    version: int | None

    def order(self, version: int) -> int:
        """Return the order of documents of a version of the table."""
        return layout.order_of(self.epoch, version)

    def reached(self, version: int) -> State:
        """Return the state after a push."""
        return replace(self, version=version)


def read_state(connection: Connection, name: str) -> State | None:
    """Return the state of a table's mirror, or None when it was never pushed.

    Parameters
    ----------
    connection : Connection
        Where the catalogue is.
    name : str
        The table.
    """
    states = connection.database()[layout.STATE]
    with told_errors():
        found = connection.attempts(lambda: states.find_one({"_id": name}))
    return None if found is None else State(found["table"], int(found["epoch"]), found["version"])


def write_state(connection: Connection, name: str, state: State) -> None:
    """Record how far the mirror is."""
    states = connection.database()[layout.STATE]
    kept = {"_id": name, "table": state.table, "epoch": state.epoch, "version": state.version}
    with told_errors():
        connection.attempts(lambda: states.replace_one({"_id": name}, kept, upsert=True))


def begun(connection: Connection, name: str, table: str, take_over: bool) -> State:
    """Return the state that a push begins with; it is recorded when it is new.

    Parameters
    ----------
    connection : Connection
        Where the catalogue is.
    name : str
        The table.
    table : str
        Delta's id of it.
    take_over : bool
        Whether this table may take the place of another one.

    Raises
    ------
    CairnError
        CATALOGUE_OF_ANOTHER.
    """
    known = read_state(connection, name)
    if known is not None and known.table == table:
        return known
    if known is not None and not take_over:
        raise CairnError("CATALOGUE_OF_ANOTHER", table=name, database=connection.settings.database)
    state = State(table, 0 if known is None else known.epoch + 1, None)
    write_state(connection, name, state)
    return state
