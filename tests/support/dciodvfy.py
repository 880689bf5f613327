"""What dciodvfy (Debian's dicom3tools) objects to in a file, without the values that it shows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

TOOL = shutil.which("dciodvfy")
_VALUES = re.compile(r"= <[^>]*>.*|<[\d.]*>|\d+(?:\.\d+){2,}|(?<=UID) 0$|\[\d+\]|(?:expected|got) \d+ dec")
UNREAD = "Dicom dataset read failed"
LARGEST = 3_000_000


def errors(path: Path) -> frozenset[str]:
    """What dciodvfy objects to, without the values."""
    done = subprocess.run([str(TOOL), str(path)], capture_output=True, timeout=60, check=False)
    lines = (done.stderr + done.stdout).decode("latin-1").splitlines()
    return frozenset(" ".join(_VALUES.sub("", line).split()) for line in lines if line.startswith("Error"))
