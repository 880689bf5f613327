"""How the kernel's functions are compiled: once per machine and version, kept in a folder named after their source.

numba's own cache looks at the file of a function, not at those of the functions that it calls: after an update it would
go on with machine code of the old callee. A folder per hash of the whole package leaves no such doubt.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pkgutil
import tempfile
from importlib import resources
from pathlib import Path

import numba


@functools.cache
def cache_folder() -> Path:
    """Return the folder of the machine code for the present source.

    It lies under ``NUMBA_CACHE_DIR`` when that is set, else beside the package, else (a package in a zip, a folder that
    cannot be written) in the machine's folder for temporary files. Machine code holds no data of anybody.
    """
    package = resources.files("cairn.dicom")
    digest = hashlib.sha256(numba.__version__.encode())
    for module in sorted(item.name for item in pkgutil.iter_modules([str(package)])):
        digest.update((package / f"{module}.py").read_bytes())
    own = Path(__file__).parent
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        base = Path(given)
    elif own.is_dir() and os.access(own, os.W_OK):
        base = own / "__pycache__"
    else:
        base = Path(tempfile.gettempdir()) / f"cairn-{os.getuid()}"
    return base / f"kernel-{digest.hexdigest()[:16]}"


setattr(numba.config, "CACHE_DIR", str(cache_folder()))  # noqa: B010 - numba gives it no type

compiled = functools.partial(numba.njit, cache=True)()
"""Decorator of every compiled function."""
