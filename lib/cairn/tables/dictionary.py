"""The data dictionary page, made from the contracts.

``python -m cairn.tables.dictionary`` prints docs/data-dictionary.md.
"""

from __future__ import annotations

import pyarrow as pa

from cairn.tables.contract import VARIANT, Column, Contract
from cairn.tables.registry import contracts

NAMES = {
    "bool": "boolean",
    "int64": "bigint",
    "int32": "int",
    "date32[day]": "date",
    "timestamp[us, tz=UTC]": "timestamp",
}


def type_name(kind: pa.DataType) -> str:
    """Return a type as an analyst writes it in SQL, in lower case."""
    if kind == VARIANT:
        return "variant"
    if pa.types.is_list(kind):
        return f"array<{type_name(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"map<{type_name(kind.key_type)},{type_name(kind.item_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ",".join(f"{field.name}:{type_name(field.type)}" for field in kind) + ">"
    return NAMES.get(str(kind), str(kind))


def page() -> str:
    """Return the whole page as Markdown."""
    tables = contracts().values()
    lines = [
        "# Data dictionary",
        "",
        "Made from the contracts in `lib/cairn/tables`: `python -m cairn.tables.dictionary > docs/data-dictionary.md`.",
        "Do not edit. Columns in **bold** are the key; *crosses* says how a column enters the de-identified zone.",
        "",
        *(f"- [{c.full_name}](#{c.full_name.replace('.', '')}): {c.comment}" for c in tables),
    ]
    for contract in tables:
        lines += _table(contract)
    return "\n".join(lines) + "\n"


def _table(contract: Contract) -> list[str]:
    clustering = f" Clustered by {', '.join(contract.clustered_by)}." if contract.clustered_by else ""
    return [
        "",
        f"## {contract.full_name}",
        "",
        f"{contract.comment} One row is {contract.grain}.{clustering}",
        "",
        "| column | type | meaning | from the header | crosses |",
        "|---|---|---|---|---|",
        *(_row(contract, column) for column in contract.columns),
    ]


def _row(contract: Contract, column: Column) -> str:
    name = f"**{column.name}**" if column.name in contract.key else column.name
    origin = "<br>".join(column.paths)
    comment = column.comment.replace("|", "\\|")
    return f"| {name} | {type_name(column.type)} | {comment} | {origin} | {column.rule} |"


if __name__ == "__main__":
    print(page(), end="")
