"""The Java that Spark will use, and whether it is new enough, mostly without starting it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cairn.errors import CairnError

OLDEST = 17
"""Spark 4.2 is compiled for Java 17."""

ANSWER_SECONDS = 60


def require_java(environment: Mapping[str, str]) -> Path:
    """Return the path of the Java that Spark's scripts will take: ``JAVA_HOME``, else the first on ``PATH``.

    Raises
    ------
    CairnError
        JAVA_MISSING, JAVA_TOO_OLD.
    """
    java = _find(environment)
    version = _released(java) or _asked(java, environment)
    if version < OLDEST:
        raise CairnError("JAVA_TOO_OLD", path=java, version=version, oldest=OLDEST)
    return java


def _find(environment: Mapping[str, str]) -> Path:
    home = environment.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / "java"
        if os.access(java, os.X_OK):
            return java
        raise CairnError("JAVA_MISSING", where=f"in JAVA_HOME ({home})", oldest=OLDEST)
    found = shutil.which("java", path=environment.get("PATH", ""))
    if found is None:
        raise CairnError("JAVA_MISSING", where="on PATH, and JAVA_HOME is not set", oldest=OLDEST)
    return Path(found)


def _released(java: Path) -> int | None:
    """Major version by the ``release`` file that a JDK keeps beside ``bin``: starting a JVM to ask takes longer."""
    try:
        text = (java.resolve().parent.parent / "release").read_text("utf-8", "replace")
    except OSError:
        return None
    return _major(text, r'^JAVA_VERSION="([^"]+)"')


def _asked(java: Path, environment: Mapping[str, str]) -> int:
    """Major version by ``java -version``.

    Raises
    ------
    CairnError
        JAVA_MISSING when it does not run, as the placeholder that macOS installs.
    """
    try:
        answer = subprocess.run(
            [str(java), "-version"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise CairnError("JAVA_MISSING", where=f"that runs at {java}", oldest=OLDEST) from None
    version = _major((answer.stderr + answer.stdout).decode("utf-8", "replace"), r'version "([^"]+)"')
    if answer.returncode != 0 or version is None:
        raise CairnError("JAVA_MISSING", where=f"that runs at {java}", oldest=OLDEST)
    return version


def _major(text: str, pattern: str) -> int | None:
    """Major version in a text: 8 for ``1.8.0_392``, 17 for ``17.0.15``, 21 for ``21-ea``."""
    match = re.search(pattern, text, re.MULTILINE)
    parts = re.findall(r"\d+", match.group(1)) if match else []
    if not parts:
        return None
    return int(parts[1]) if parts[0] == "1" and len(parts) > 1 else int(parts[0])
