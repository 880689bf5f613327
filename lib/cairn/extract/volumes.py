"""Volumes of a series as NIfTI-1 with a JSON file beside each (BIDS: keys and units), made by dcm2niix.

dcm2niix (BSD) knows how makers store mosaics, slopes, gaps and gradients; here stands only what makes its result
reproducible: a fixed order of files, an environment without settings of a user, compression without a time.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cairn.errors import EntryError

TIMEOUT_SECONDS = 600.0
_CONVERTED = re.compile(r"^Convert (\d+) DICOM as ", re.MULTILINE)
_NAME = "volume"
_STRING = re.compile(r'^(\s*"[^"]+": )"(.*)"(,?)$')


@dataclass(frozen=True)
class Volume:
    """One file of a series' volumes.

    Parameters
    ----------
    name : str
        ``volume.nii.gz``, ``volume.json``; further volumes of the series have dcm2niix's suffixes (``_e2`` second echo,
        ``_ph`` phase …), diffusion has ``volume.bval`` and ``volume.bvec``.
    content : bytes
        The file.
    """

    name: str
    content: bytes = field(repr=False)


def volumes_of(files: Sequence[Path], scratch: Path, seconds: float = TIMEOUT_SECONDS) -> list[Volume]:
    """Convert the files of one series.

    Parameters
    ----------
    files : sequence of pathlib.Path
        All DICOM files of the series; the result depends on their bytes and names alone.
    scratch : pathlib.Path
        Folder for temporary files.
    seconds : float
        Longest time it may take.

    Returns
    -------
    list of Volume
        By name; the same bytes on every machine.

    Raises
    ------
    EntryError
        EXTRACT_NO_VOLUME when dcm2niix does not make volumes of every one of the files: a series goes whole or stays.
    """
    import dcm2niix

    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        given, made = Path(folder, "in"), Path(folder, "out")
        given.mkdir()
        made.mkdir()
        for number, path in enumerate(sorted(files)):
            os.symlink(path.resolve(), given / f"{number:06d}.dcm")
        options = ["-b", "y", "-ba", "y", "-z", "n", "-i", "n", "-f", _NAME, "-o", str(made), str(given)]
        try:
            done = subprocess.run(
                [dcm2niix.bin, *options], env={"HOME": folder, "TZ": "UTC", "LC_ALL": "C"}, cwd=folder, timeout=seconds,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise EntryError("EXTRACT_NO_VOLUME") from None
        converted = sum(map(int, _CONVERTED.findall(done.stdout.decode("utf-8", "replace"))))
        if done.returncode or converted != len(files):
            raise EntryError("EXTRACT_NO_VOLUME")
        return [_as_delivered(path) for path in sorted(made.iterdir())]


def _as_delivered(path: Path) -> Volume:
    data = path.read_bytes()
    if path.suffix == ".nii":
        return Volume(f"{path.name}.gz", gzip.compress(data, mtime=0))
    return Volume(path.name, _as_json(data)) if path.suffix == ".json" else Volume(path.name, data)


def _as_json(data: bytes) -> bytes:
    """Return what dcm2niix wrote as JSON: it leaves backslashes, quotation marks and control characters in values."""
    text = data.decode("utf-8", "replace")
    try:
        told = json.loads(text, strict=False)
    except ValueError:
        told = json.loads("\n".join(map(_escaped, text.split("\n"))), strict=False)
    return (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()


def _escaped(line: str) -> str:
    found = _STRING.match(line)
    if found is None:
        return line
    try:
        json.loads(f'"{found[2]}"', strict=False)
    except ValueError:
        value = found[2].replace("\\", "\\\\").replace('"', '\\"')
        return f'{found[1]}"{value}"{found[3]}'
    return line


def header_texts(content: bytes) -> list[str]:
    """Return what a compressed NIfTI-1 file's header says in words: its five fields of text (nifti1.h)."""
    header = gzip.decompress(content)[:348]
    fields = ((4, 14), (14, 32), (148, 228), (228, 252), (328, 344))
    return [header[start:end].split(b"\0")[0].decode("latin-1") for start, end in fields]
