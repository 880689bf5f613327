"""CPU seconds: those of processes that have ended count too, whoever was their parent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cairn.spark.accounting import cpu_seconds

BURNT = 0.4
PARENT = f"""
import os, signal, sys, time
signal.signal(signal.SIGCHLD, getattr(signal, sys.argv[1]))
gate, opened = os.pipe()
child = os.fork()
if not child:
    os.close(opened)
    while time.process_time() < {BURNT}:
        pass
    print("burnt", flush=True)
    os.read(gate, 1)
    os._exit(0)
os.close(gate)
sys.stdin.readline()
os.close(opened)
if sys.argv[1] == "SIG_DFL":
    os.waitpid(child, 0)
while os.path.exists(f"/proc/{{child}}"):
    time.sleep(0.01)
print("gone", flush=True)
sys.stdin.readline()
"""

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc")


@contextmanager
def parent(heeds: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PARENT, heeds]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.parametrize("heeds", ["SIG_IGN", "SIG_DFL"])
def test_a_child_that_has_ended_still_counts_once(heeds: str) -> None:
    """Spark's Python workers are children of a process that ignores SIGCHLD: the kernel drops their times."""
    before = cpu_seconds()
    with parent(heeds) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "burnt\n"
        burnt = cpu_seconds()
        process.stdin.write("end\n")
        process.stdin.flush()
        assert process.stdout.readline() == "gone\n"
        ended = cpu_seconds()
    assert before is not None and burnt is not None and ended is not None
    assert burnt - before >= BURNT * 0.9
    assert burnt <= ended < burnt + BURNT * 0.9
