"""What all tables of health records share: who, which record, out of which delivery, and short ways to state columns."""

import pyarrow as pa

from cairn.tables.contract import FINDINGS, Column, Contract

TEXT, DATE, WHEN = pa.string(), pa.date32(), pa.timestamp("us", tz="UTC")
INT, NUM, FLAG, TEXTS = pa.int64(), pa.float64(), pa.bool_(), pa.list_(pa.string())

# fmt: off
COMMON = (
    Column("record_id", TEXT, "Identity of the record: hash of what identifies it in its source.", "uid"),
    Column("patient_id", TEXT, "Whose it is: the CHI as cleaned, or issuer and number where the source has no CHI.", "person", nullable=False),
    Column("patient_id_submitted", TEXT, "The person's number as the source wrote it.", "drop"),
    Column("patient_id_verdict", TEXT, "VALID, or what is wrong with the number as a CHI; LOCAL where it is meant to be another.", "keep", nullable=False),
)
DELIVERY = (
    Column("delivery", TEXT, "Which delivery the row came in.", "drop", nullable=False),
    Column("delivered_on", DATE, "Date of that delivery; a record's row is of the latest.", "drop", nullable=False),
    Column("delivery_row", INT, "Number of the row in its delivery, the first is 1.", "drop", nullable=False),
    Column("content_sha256", TEXT, "Hash of the typed values: equal for repeated deliveries of a row.", "drop", nullable=False),
    Column("findings", FINDINGS, "Cells that could not be read, by code and field; they are NULL.", "keep", nullable=False),
)
# fmt: on


def records(name: str, grain: str, comment: str, *columns: Column, clustered_by: tuple[str, ...] = ()) -> Contract:
    """Return the contract of ``identifiable.ehr_<name>``, with the columns that all such tables share."""
    return Contract(
        zone="identifiable",
        name=f"ehr_{name}",
        grain=grain,
        key=("record_id",),
        comment=comment,
        columns=(*COMMON, *columns, *DELIVERY),
        clustered_by=("patient_id", *clustered_by),
    )


def text(name: str, comment: str, rule: str = "keep") -> Column:
    """Return a column of text or of a code as text."""
    return Column(name, TEXT, comment, rule)


def texts(name: str, comment: str, rule: str = "keep") -> Column:
    """Return a column that holds several codes, without the empty ones."""
    return Column(name, TEXTS, comment, rule)


def date(name: str, comment: str) -> Column:
    """Return a date, shifted on its way down."""
    return Column(name, DATE, comment, "date")


def moment(name: str, comment: str) -> Column:
    """Return a date with its time of the clock in Scotland (stored as if UTC), shifted on its way down."""
    return Column(name, WHEN, comment, "date")


def whole(name: str, comment: str) -> Column:
    """Return a whole number."""
    return Column(name, INT, comment, "keep")


def number(name: str, comment: str) -> Column:
    """Return a number."""
    return Column(name, NUM, comment, "keep")


def flag(name: str, comment: str) -> Column:
    """Return yes or no."""
    return Column(name, FLAG, comment, "keep")
