"""Code lists: versioned CSV files with wildcards.

``conf/codelists/<name>.csv`` has the columns ``code``, ``system``, ``term`` and begins with comment lines
``# version: 1`` and ``# title: …``. A trailing ``*`` stands for any rest; in the system ``omop`` it stands for the
concept's descendants. Codes are compared as the loader writes them: ICD-10 and OPCS-4 without dot, in upper case; Read
keeps its case.
"""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from cairn.errors import CairnError, nearest

SYSTEMS = ("icd10", "icd9", "opcs4", "bnf", "read", "snomed", "atc", "omop", "local")
_DOTLESS = ("icd10", "opcs4", "icd9")


@dataclass(frozen=True)
class CodeList:
    """One list.

    Parameters
    ----------
    name : str
        As definitions call it.
    version : int
        Goes up when codes change.
    title : str
        What it is.
    exact : tuple of str
        Codes as they are, sorted.
    prefixes : tuple of str
        Codes of which any rest may follow, sorted.
    ancestors : tuple of int
        OMOP concepts whose descendants belong, themselves included.
    """

    name: str
    version: int
    title: str
    exact: tuple[str, ...]
    prefixes: tuple[str, ...]
    ancestors: tuple[int, ...] = ()

    @property
    def hash(self) -> str:
        """SHA-256 of its codes."""
        text = "\n".join(["=", *self.exact, "*", *self.prefixes, "^", *map(str, self.ancestors)])
        return hashlib.sha256(text.encode()).hexdigest()

    def holds(self, code: str | int | None, descendants: dict[int, set[int]] | None = None) -> bool | None:
        """Return whether a code belongs; None for none. `descendants` are those of OMOP concepts."""
        if code is None:
            return None
        text = str(code)
        below = any(int(text) in (descendants or {}).get(a, ()) for a in self.ancestors) if self.ancestors else False
        return text in self.exact or text.startswith(self.prefixes) or below


def canonical(code: str, system: str) -> str:
    """Return a code as the loader writes it."""
    text = code.strip()
    if system in ("read", "local"):
        return text
    text = text.upper()
    if system in _DOTLESS:
        text = re.sub(r"[.\s]", "", text)
        text = re.sub(r"^([A-Z]\d\d)X+$", r"\1", text)
    return text


def load(path: Path) -> CodeList:
    """Return the code list in a file.

    Raises
    ------
    CairnError
        ``CODELIST_UNREADABLE`` with the line.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, getattr(error, "strerror", None) or "it is no UTF-8 text") from error
    notes = dict(re.findall(r"^#\s*(\w+):\s*(.*)$", "\n".join(lines), re.MULTILINE))
    if not notes.get("version", "").isdigit():
        raise _wrong(path, "no line '# version: 1'")
    # Comment lines become empty, so that line numbers stay.
    reader = csv.DictReader([line for line in lines if not line.startswith("#")])
    if reader.fieldnames is None or not {"code", "system"} <= set(reader.fieldnames):
        raise _wrong(path, "no columns code and system")
    exact: set[str] = set()
    prefixes: set[str] = set()
    ancestors: set[str] = set()
    for number, row in enumerate(reader, 1):
        system, code = (row["system"] or "").strip(), (row["code"] or "").strip()
        if system not in SYSTEMS:
            raise _wrong(path, f"row {number}: no code system {system!r}. {nearest(system, SYSTEMS)}".strip())
        if not code or code == "*" or "*" in code[:-1]:
            raise _wrong(path, f"row {number}: {code!r} is no code; a * may stand at its end")
        if system == "omop":
            if not code.rstrip("*").isdigit():
                raise _wrong(path, f"row {number}: {code!r} is no OMOP concept")
            (ancestors if code.endswith("*") else exact).add(code.rstrip("*"))
        elif code.endswith("*"):
            prefixes.add(canonical(code[:-1], system))
        else:
            exact.add(canonical(code, system))
    if not exact | prefixes | ancestors:
        raise _wrong(path, "it holds no codes")
    return CodeList(path.stem, int(notes["version"]), notes.get("title", ""), tuple(sorted(exact)),
                    tuple(sorted(prefixes)), tuple(sorted(map(int, ancestors))))  # fmt: skip


def load_all(folder: Path) -> dict[str, CodeList]:
    """Return all lists of a folder by name."""
    return {path.stem: load(path) for path in sorted(folder.glob("*.csv"))}


def _wrong(path: Path, why: str) -> CairnError:
    return CairnError("CODELIST_UNREADABLE", path=path, why=why)
