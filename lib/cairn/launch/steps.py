"""One step of the set-up: another program, its output in the log, and what went wrong in one sentence."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cairn.errors import CairnError

LINES_KEPT = 400
"""Last lines of output by which a failure is told apart."""

SYMPTOMS = (
    ("NO_DISK", r"No space left on device|Disk quota exceeded|File too large|ENOSPC"),
    ("HASH_MISMATCH", r"DO NOT MATCH THE HASHES|Hashes are required|Hash mismatch"),
    (
        "NO_NETWORK",
        r"Connection(?: to \S+)? (?:refused|timed out|reset|broken|aborted)|ConnectionError|ConnectTimeout"
        r"|NewConnectionError|Max retries exceeded|Network is unreachable|Read timed out|ProxyError"
        r"|Temporary failure in name resolution|Name or service not known|UnknownHostException"
        r"|nodename nor servname|SSLError|SSLException|ConnectException|SocketTimeoutException|No route to host"
        r"|Could not find a version that satisfies|No matching distribution found"
        r"|UNRESOLVED DEPENDENC|unresolved dependency|download failed",
    ),
)
"""What a failed program prints, by the condition that it means; the first that matches counts."""


def say(text: str) -> None:
    """Tell the user what the set-up does, on standard error: standard output is the job's."""
    print(f"cairn: {text}", file=sys.stderr, flush=True)


def run_step(
    what: str,
    command: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str],
    hear: Callable[[str], None] = lambda line: None,
) -> None:
    """Run one program to its end.

    Parameters
    ----------
    what : str
        What it makes, for the message of a failure.
    command : sequence of str or path
        The program and its arguments.
    log : pathlib.Path
        Gets everything that the program prints, behind what it holds.
    environment : mapping of str to str
        Its environment variables.
    hear : callable
        Gets each line that it prints.

    Raises
    ------
    CairnError
        NO_DISK, NO_NETWORK, HASH_MISMATCH or SETUP_FAILED when it ends with another exit code than 0.
    """
    last: list[str] = []
    with (
        log.open("a", encoding="utf-8") as kept,
        subprocess.Popen(
            [str(part) for part in command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as program,
    ):
        assert program.stdout is not None
        for line in program.stdout:
            kept.write(line)
            last = [*last[1 - LINES_KEPT :], line]
            hear(line.rstrip())
    if program.returncode != 0:
        raise failure(what, "".join(last), log)


def failure(what: str, text: str, log: Path) -> CairnError:
    """Return the error that a failed program's output means."""
    code = next((code for code, pattern in SYMPTOMS if re.search(pattern, text)), "SETUP_FAILED")
    return CairnError(code, what=what, log=log, path=log.parent)
