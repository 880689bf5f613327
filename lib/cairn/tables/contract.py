"""What a table promises: schema, grain, key, clustering, and for each column its comment, origin and crossing rule.

A contract is the single home of a table's column list. The store derives Spark's and Delta's types from
it, the header kernel takes it as its projection, the data dictionary prints it, and the de-identification
reads the crossing rules in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

VARIANT = pa.struct([pa.field("value", pa.binary(), nullable=False), pa.field("metadata", pa.binary(), nullable=False)])
"""Arrow form of a Delta VARIANT: its two binaries."""

FINDINGS = pa.list_(pa.struct([pa.field("code", pa.string()), pa.field("place", pa.string())]))
"""Arrow form of a column of :class:`cairn.errors.Finding`."""

RULES = frozenset(
    {
        "header",  # the column is projected anew from the rewritten header bytes
        "keep",  # crosses as it is
        "drop",  # never crosses
        "person",  # replaced by the pseudonym of the person
        "uid",  # replaced by the pseudonymous UID
        "date",  # shifted by the person's days
        "text",  # scrubbed
    }
)


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    name : str
        snake_case of the DICOM keyword or of the field's own term.
    type : pyarrow.DataType
        Arrow type; :data:`VARIANT` stands for Delta's VARIANT.
    comment : str
        One sentence for analysts, with the unit where there is one.
    rule : str
        How it crosses into the de-identified zone; one of :data:`RULES`.
    paths : tuple of str
        Where the value comes from in a DICOM header, best first: keywords joined by dots, sequences by their
        first item, e.g. ``SharedFunctionalGroupsSequence.PixelMeasuresSequence.SliceThickness``. Empty when computed.
    nullable : bool
        Whether NULL is allowed.
    """

    name: str
    type: pa.DataType
    comment: str
    rule: str = "drop"
    paths: tuple[str, ...] = ()
    nullable: bool = True

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"column {self.name}: unknown crossing rule {self.rule!r}")

    @property
    def is_variant(self) -> bool:
        """Whether Delta stores it as VARIANT."""
        return self.type == VARIANT


@dataclass(frozen=True)
class Contract:
    """One table.

    Parameters
    ----------
    zone : str
        ``identifiable`` or ``deidentified``: the table's root and its Spark schema.
    name : str
        Table name within the zone.
    grain : str
        What one row is, in words.
    key : tuple of str
        Columns that are unique together and never NULL.
    columns : tuple of Column
        In the table's order.
    comment : str
        One sentence for the data dictionary.
    clustered_by : tuple of str
        Liquid clustering columns, the ones that queries prune on.
    statistics : tuple of str
        Columns for which files carry minimum, maximum and null count: what queries and stages prune on.
    """

    zone: str
    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    comment: str
    clustered_by: tuple[str, ...] = ()
    statistics: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise ValueError(f"{self.full_name}: columns repeated: {sorted(repeated)}")
        for name in (*self.key, *self.clustered_by, *self.statistics):
            if name not in names:
                raise ValueError(f"{self.full_name}: no column {name!r}")

    @property
    def full_name(self) -> str:
        """``zone.name``, as in Spark SQL."""
        return f"{self.zone}.{self.name}"

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """Arrow schema in column order; key columns and the ones declared so are not nullable."""
        return pa.schema(
            [pa.field(c.name, c.type, nullable=c.nullable and c.name not in self.key) for c in self.columns]
        )

    @cached_property
    def statistics_columns(self) -> tuple[str, ...]:
        """Columns with file statistics: clustering columns first, then `statistics`, without repeats."""
        return tuple(dict.fromkeys((*self.clustered_by, *self.statistics)))

    def column(self, name: str) -> Column:
        """Return the column called `name`; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
