"""`quality` of either zone: what became of every expectation in every check, for trends and for drift."""

from dataclasses import replace

import pyarrow as pa

from cairn.tables.contract import Column, Contract
from cairn.tables.run import MOMENT

_TEXT, _REAL, _COUNT, _FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()

# fmt: off
QUALITY = Contract(
    zone="identifiable",
    name="quality",
    grain="one expectation of one table in one check",
    key=("run", "table", "expectation", "column", "scope"),
    comment="Results of the quality checks: counts and names of columns, never a value.",
    columns=(
        Column("run", _TEXT, "Run of the job quality.", "keep"),
        Column("table", _TEXT, "Full name of the table.", "keep"),
        Column("expectation", _TEXT, "columns, unique, not_null, between, one_of, holds, no_address, complete, refers, covered, accounted, apart, steady_rows, steady_share, steady_nulls, tables.", "keep"),
        Column("column", _TEXT, "Column or columns that it is about; empty: the table.", "keep"),
        Column("scope", _TEXT, "Modality, other table or rule that it is about; empty: all rows.", "keep"),
        Column("severity", _TEXT, "error: a failure keeps data from crossing; warning: it is told.", "keep", nullable=False),
        Column("success", _FLAG, "Whether it passed.", "keep", nullable=False),
        Column("observed", _REAL, "Rows at fault; rows of the table or modality (steady_rows); a share (complete, steady_share, steady_nulls).", "keep", nullable=False),
        Column("lowest", _REAL, "Smallest value that passes; NULL: no bound.", "keep"),
        Column("highest", _REAL, "Greatest value that passes; NULL: no bound.", "keep"),
        Column("rows", _COUNT, "Rows of the table, or of the scope.", "keep", nullable=False),
        Column("statement", _TEXT, "What was asked, in words.", "keep", nullable=False),
        Column("table_version", _COUNT, "Delta version of the table.", "keep", nullable=False),
        Column("basis", _TEXT, "Hash of the suite and of the versions of all tables that it read: an equal one is not judged again.", "keep", nullable=False),
        Column("judged", MOMENT, "When, UTC.", "keep", nullable=False),
        Column("result", _TEXT, "great-expectations' result, JSON, without values.", "keep", nullable=False),
    ),
    statistics=("run", "table", "judged"),
)

DEIDENTIFIED_QUALITY = replace(QUALITY, zone="deidentified")
# fmt: on
