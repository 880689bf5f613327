"""Who has opted out: a list of CHIs, one a line."""

from __future__ import annotations

from pathlib import Path

from cairn.deid.identity import chi_of
from cairn.errors import CairnError


def read_opt_outs(file: Path) -> frozenset[str]:
    """Return the CHIs of a list.

    Parameters
    ----------
    file : pathlib.Path
        One CHI a line, spaces within allowed; empty lines and what follows ``#`` do not count.

    Raises
    ------
    CairnError
        OPT_OUTS_UNREADABLE, OPT_OUTS_INVALID with the numbers of the lines, never their content: who has opted out and
        cannot be understood must not cross by mistake.
    """
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise CairnError("OPT_OUTS_UNREADABLE", path=file) from None
    found, wrong = set(), []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        chi = chi_of(text.zfill(10) if text.isdigit() else text)  # spreadsheets lose the leading zero
        if chi is None:
            wrong.append(number)
        else:
            found.add(chi)
    if wrong:
        raise CairnError("OPT_OUTS_INVALID", path=file, lines=", ".join(map(str, wrong[:10])), count=len(wrong))
    return frozenset(found)
