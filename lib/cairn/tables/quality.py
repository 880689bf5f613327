"""What must hold of tables: expectations as data, which stand beside the contracts.

No Spark and no great-expectations here. :mod:`cairn.quality` says which conditions an expectation counts and lets
great-expectations judge the counts; :mod:`cairn.spark.measuring` counts them, all of a table in one pass.

An expectation whose severity is :data:`ERROR` keeps data from crossing into the next zone when it fails; a
:data:`WARNING` is told and recorded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypedDict

from cairn.tables.contract import Contract

ERROR, WARNING = "error", "warning"
TODAY = "today"
"""As a bound of :class:`Between`: the day of the check."""


@dataclass(frozen=True)
class SameColumns:
    """The table has the columns of its contract and no other; in the de-identified zone each of them has a rule."""

    severity: str = ERROR


@dataclass(frozen=True)
class Unique:
    """No two rows share these columns: the grain."""

    columns: tuple[str, ...]
    severity: str = ERROR


@dataclass(frozen=True)
class NotNull:
    """A share of the rows, all of them unless `least` says otherwise, has a value."""

    column: str
    least: float = 1.0
    severity: str = ERROR


@dataclass(frozen=True)
class Between:
    """Values lie within bounds, which are values too; of an array, each of its values. NULL is not judged.

    Parameters
    ----------
    column : str
        Numbers or dates.
    low, high : float, str or None
        Bounds; dates as ``YYYY-MM-DD`` or :data:`TODAY`; None: no bound.
    least : float
        Share of the values that must.
    """

    column: str
    low: float | str | None = None
    high: float | str | None = None
    least: float = 1.0
    severity: str = ERROR


@dataclass(frozen=True)
class OneOf:
    """Values belong to a set of codes; of an array, each of its values. NULL is not judged."""

    column: str
    values: tuple[str, ...]
    least: float = 1.0
    severity: str = ERROR


@dataclass(frozen=True)
class Holds:
    """A condition over one row holds; where it is NULL it is not judged.

    Parameters
    ----------
    column : str
        Under which column it is told.
    says : str
        The condition in words.
    sql : str
        The condition.
    columns : tuple of str
        Columns that it reads.
    """

    column: str
    says: str
    sql: str
    columns: tuple[str, ...]
    least: float = 1.0
    severity: str = ERROR


@dataclass(frozen=True)
class NoAddress:
    """No column of text holds the address of an archive's entry. VARIANT and structures are left to the verifier."""

    severity: str = ERROR


@dataclass(frozen=True)
class Complete:
    """In every year, a share of the rows of some modalities has a value.

    Parameters
    ----------
    column : str
        The column.
    least : float
        Share of the rows of a modality and year.
    modalities : tuple of str
        To which it applies; empty: to every one that the table has.
    """

    column: str
    least: float
    modalities: tuple[str, ...] = ()
    severity: str = WARNING


@dataclass(frozen=True)
class Steady:
    """Against the table's last run without an error: rows, rows and share of each modality, share of NULL.

    Parameters
    ----------
    nulls : tuple of str
        Columns whose share of NULL is watched.
    """

    nulls: tuple[str, ...] = ()
    severity: str = ERROR


@dataclass(frozen=True)
class Side:
    """Rows of a table, by some of its columns.

    Parameters
    ----------
    table : str
        Full name.
    columns : tuple of str
        What is compared, in order.
    where : str
        Condition (SQL) on the rows; empty: all.
    """

    table: str
    columns: tuple[str, ...]
    where: str = ""


@dataclass(frozen=True)
class Related:
    """No row of the one side is without a partner on the other (or, when `apart`, none has one).

    Rows in which a compared column is NULL are left out. It is judged when all its tables exist.

    Parameters
    ----------
    name : str
        ``refers``, ``covered``, ``accounted`` or ``apart``.
    says : str
        What must hold, in words.
    left : Side
        Whose rows are counted.
    right : tuple of Side
        Where the partners are, in any of them.
    """

    name: str
    says: str
    left: Side
    right: tuple[Side, ...]
    severity: str = ERROR

    @property
    def apart(self) -> bool:
        """Whether rows with a partner are the fault."""
        return self.name == "apart"

    @property
    def tables(self) -> tuple[str, ...]:
        """Full names of all tables that it reads."""
        return tuple(dict.fromkeys((self.left.table, *(side.table for side in self.right))))


Expectation = SameColumns | Unique | NotNull | Between | OneOf | Holds | NoAddress | Complete | Steady | Related


@dataclass(frozen=True)
class Suite:
    """All that must hold of one table.

    Parameters
    ----------
    contract : Contract
        The table.
    expectations : tuple of Expectation
        What must hold.
    modality, date : str
        Columns by which rows are told apart for :class:`Complete` and :class:`Steady`; empty: they are not.
    """

    contract: Contract
    expectations: tuple[Expectation, ...]
    modality: str = ""
    date: str = ""

    @property
    def related(self) -> tuple[Related, ...]:
        """Those that look at other tables too."""
        return tuple(one for one in self.expectations if isinstance(one, Related))

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change when anything that the suite says does."""
        text = repr((self.contract.arrow_schema.to_string(), self.expectations, self.modality, self.date))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def refers(table: str, column: str, other: str, to: str = "", where: str = "", severity: str = ERROR) -> Related:
    """Return the expectation that each value of a column is one of a column of another table."""
    target = to or column
    says = f"every {column} is a {target} of {other}"
    return Related("refers", says, Side(table, (column,), where), (Side(other, (target,)),), severity)


def covered(table: str, column: str, by: str, where: str = "", severity: str = ERROR) -> Related:
    """Return the expectation that each value of another table's column has its row in the table of the suite."""
    says = f"every {column} of {table} has its row here" + (f" (where {where})" if where else "")
    return Related("covered", says, Side(table, (column,), where), (Side(by, (column,)),), severity)


class Imaged(TypedDict):
    """Which columns of a table tell modality and day."""

    modality: str
    date: str


def made_suite(
    contract: Contract,
    *stated: Expectation,
    modality: str = "",
    date: str = "",
    nulls: tuple[str, ...] = (),
    steady: bool = True,
) -> Suite:
    """Return a table's suite: what follows from its contract, and what is stated beside it.

    Parameters
    ----------
    contract : Contract
        Its columns, its key and what may not be NULL; in the de-identified zone, that no address is in it.
    *stated : Expectation
        What the contract cannot say.
    modality, date : str
        As in :class:`Suite`.
    nulls : tuple of str
        As in :class:`Steady`.
    steady : bool
        Whether the table must not shrink.
    """
    required = [name for name in contract.arrow_schema.names if not contract.arrow_schema.field(name).nullable]
    own: list[Expectation] = [SameColumns(), Unique(contract.key), *(NotNull(name) for name in required)]
    if contract.zone == "deidentified":
        own.append(NoAddress())
    drift = (Steady(nulls),) if steady else ()
    return Suite(contract, (*own, *stated, *drift), modality, date)
