"""Every kind of bad entry, once, whatever the scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cairn.synthetic.bench import PEOPLE, Bench
from cairn.synthetic.pitfall_archives import write_archives
from cairn.synthetic.pitfall_files import write_files
from cairn.synthetic.pitfall_identity import write_identities
from cairn.synthetic.pitfall_values import write_values
from cairn.synthetic.truth import Entry

LAST_PERSON = PEOPLE - 1


def write_all(root: Path, seed: int, pixel_size: int, long_values: bool) -> tuple[list[Entry], list[dict[str, Any]]]:
    """Write all pitfalls below ``root/odd`` and return the truth about them.

    Parameters
    ----------
    root : pathlib.Path
        The archive's root.
    seed : int
        The archive's seed.
    pixel_size : int
        Rows and columns of the images.
    long_values : bool
        Whether to write the one file of more than 16 MiB.

    Returns
    -------
    entries : list of Entry
        One a file or member, with its label.
    series : list
        Empty: the series table's truth is told for ordinary studies only.
    """
    bench = Bench(root, seed, pixel_size)
    write_values(bench, long_values)
    write_files(bench)
    write_identities(bench)
    write_archives(bench)
    return bench.entries, []
