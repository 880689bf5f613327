"""Makes the generated data of this package from published sources; run by hand when an edition changes.

``python -m cairn.deid.make_tables ps315 TABLE.json EDITION`` takes Table E.1-1 of PS3.15 as JSON rows (name, tag,
basicProfile, one key per option, id). ``python -m cairn.deid.make_tables types FOLDER VERSION`` takes the folder of an
unpacked highdicom (MIT), whose tables are made from PS3.3, and keeps the types of the attributes that E.1-1 acts on.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from cairn.deid.table import OPTIONS
from cairn.deid.unlisted import describing, identifying
from cairn.dicom.dictionary import keywords

DATA = Path(__file__).parent / "data"
_ORDER = ("1", "1C", "2", "2C", "3")
_DEEPEST = 3


def make_profile_table(source: Path, edition: str) -> Path:
    """Write ``ps315_e1_1_<edition>.json`` and return its path.

    Parameters
    ----------
    source : pathlib.Path
        The table's rows as JSON.
    edition : str
        Edition of the standard, such as ``2026c``.
    """
    rows = []
    for row in json.loads(source.read_text("utf-8")):
        pattern = row["id"] if re.fullmatch(r"[0-9a-fx]{8}", row["id"]) else "private"
        options = {name: row[key] for name, key in OPTIONS.items() if key in row}
        rows.append([pattern, row["name"].partition("\n")[0], row["basicProfile"], options])
    return _write(f"ps315_e1_1_{edition}.json", {"edition": edition, "rows": rows})


def make_type_table(folder: Path, version: str, rows: list[list[Any]]) -> Path:
    """Write ``attribute_types_highdicom_<version>.json.gz`` and return its path.

    Parameters
    ----------
    folder : pathlib.Path
        Holds ``_iods.py`` and ``_modules.py`` of highdicom.
    version : str
        The package's version.
    rows : list
        Rows of the table that :func:`make_profile_table` wrote: only their attributes are kept.
    """
    iods, modules = _module(folder, "_iods"), _module(folder, "_modules")
    wanted = {row[0] for row in rows} | {f"{tag:08x}" for tag in identifying() | describing()}
    types = {
        iod: _types_of(entries, modules.MODULE_ATTRIBUTE_MAP, wanted) for iod, entries in iods.IOD_MODULE_MAP.items()
    }
    content = {"source": f"highdicom {version}", "sop_classes": iods.SOP_CLASS_UID_IOD_KEY_MAP, "types": types}
    return _write(f"attribute_types_highdicom_{version}.json.gz", content)


def _types_of(entries: list[dict[str, str]], modules: dict[str, Any], wanted: set[str]) -> dict[str, str]:
    known = keywords()
    found: dict[str, str] = {}
    for entry in entries:
        for attribute in modules.get(entry["key"], ()):
            words = (*attribute["path"], attribute["keyword"])
            if len(words) > _DEEPEST or any(word not in known for word in words) or attribute["type"] not in _ORDER:
                continue
            tags = [f"{known[word][0]:08x}" for word in words]
            if tags[-1] in wanted:
                path, kind = "/".join(tags), _within(attribute["type"], entry["usage"])
                found[path] = min(found.get(path, "3"), kind, key=_ORDER.index)
    return dict(sorted(found.items()))


def _within(kind: str, usage: str) -> str:
    """A module that is not mandatory makes its required attributes conditional."""
    return kind if usage == "M" or kind in ("1C", "2C", "3") else kind + "C"


def _module(folder: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _write(name: str, content: dict[str, Any]) -> Path:
    path = DATA / name
    text = json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"
    # No time in the gzip header: the same sources give the same bytes.
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())
    return path


if __name__ == "__main__":
    what, where, edition_or_version = sys.argv[1:4]
    if what == "ps315":
        print(make_profile_table(Path(where), edition_or_version))
    else:
        table = json.loads(next(DATA.glob("ps315_e1_1_*.json")).read_text("utf-8"))
        print(make_type_table(Path(where), edition_or_version, table["rows"]))
