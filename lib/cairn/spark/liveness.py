"""Who is alive: a small file that a run touches, so that another run can tell a dead one from a slow one.

Used twice: for the one lock of a stage, and for the scratch folders that a killed run leaves behind. On the same
machine the process id decides at once (with the process's start time, as ids are used again); on another one the
heartbeat's age does.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType

from cairn.errors import CairnError
from cairn.spark.storage import Folder


@dataclass(frozen=True)
class Owner:
    """A process that holds something.

    Parameters
    ----------
    run : str
        Its run id.
    host : str
        Machine.
    pid : int
        Process id there.
    born : int
        The process's start time in clock ticks since boot (Linux), 0 where that cannot be told.
    beat : float
        Seconds since the epoch of its last heartbeat.
    """

    run: str
    host: str
    pid: int
    born: int
    beat: float

    def __str__(self) -> str:
        return f"run {self.run}, process {self.pid} on {self.host}"


def this_process(run: str, now: float) -> Owner:
    """Return the owner record of this process."""
    return Owner(run, socket.gethostname(), os.getpid(), born(os.getpid()) or 0, now)


def born(pid: int) -> int | None:
    """Return a process's start time in clock ticks since boot, or None when there is no such process.

    Source: proc(5), ``/proc/pid/stat`` field 22.
    """
    try:
        with open(f"/proc/{pid}/stat") as stream:
            text = stream.read()
    except FileNotFoundError:
        return None if os.path.isdir("/proc/self") else _answers(pid)
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _answers(pid: int) -> int | None:
    """Without /proc (macOS): whether the process id is in use at all."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return 0


def is_alive(owner: Owner, now: float, dead_after_seconds: float) -> bool:
    """Whether an owner still lives."""
    if owner.host == socket.gethostname():
        return born(owner.pid) == owner.born
    return now - owner.beat < dead_after_seconds


def read_owner(folder: Folder, name: str) -> Owner | None:
    """Return the owner that a file tells of, or None when there is no such file or it is damaged."""
    try:
        return Owner(**json.loads(folder.read(name)))
    except (FileNotFoundError, ValueError, TypeError):
        return None


class Heartbeat:
    """Writes the owner file now and then, from a thread of its own, until stopped.

    Parameters
    ----------
    folder, name : Folder, str
        Where the file lies.
    owner : Owner
        This process.
    seconds : float
        Time between two beats.
    clock : callable
        Returns seconds since the epoch.
    """

    def __init__(self, folder: Folder, name: str, owner: Owner, seconds: float, clock: Callable[[], float]) -> None:
        self._folder, self._name, self._owner = folder, name, owner
        self._seconds, self._clock = seconds, clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cairn-heartbeat", daemon=True)

    def start(self) -> Heartbeat:
        """Write the first beat and go on in the background."""
        self._beat()
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop, and remove the file."""
        self._stopped.set()
        self._thread.join()
        self._folder.remove(self._name)

    def _beat(self) -> None:
        record = {**asdict(self._owner), "beat": self._clock()}
        self._folder.write(self._name, json.dumps(record).encode())

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self._beat()
            except (OSError, CairnError):  # the next beat may get through; the run itself will meet the same disk
                continue


class StageLock:
    """At most one run of a stage at a time. Delta's own concurrency control stands behind it, should two slip through.

    Parameters
    ----------
    folder : Folder
        The zone's folder of locks.
    stage : str
        The stage.
    run : str
        This run.
    clock : callable
        Returns seconds since the epoch.
    heartbeat_seconds, dead_after_seconds : float
        As in the settings.

    Raises
    ------
    CairnError
        STAGE_BUSY on entry, when a living run holds it.
    """

    def __init__(
        self,
        folder: Folder,
        stage: str,
        run: str,
        clock: Callable[[], float],
        heartbeat_seconds: float,
        dead_after_seconds: float,
    ) -> None:
        self._folder, self._stage, self._name = folder, stage, f"{stage}.lock"
        self._clock, self._dead_after = clock, dead_after_seconds
        self._owner = this_process(run, clock())
        self._heartbeat = Heartbeat(folder, self._name, self._owner, heartbeat_seconds, clock)

    def __enter__(self) -> StageLock:
        self._folder.make()
        other = read_owner(self._folder, self._name)
        if other is not None and is_alive(other, self._clock(), self._dead_after):
            raise CairnError("STAGE_BUSY", stage=self._stage, owner=other)
        self._folder.remove(self._name)
        if not self._claimed():
            other = read_owner(self._folder, self._name)
            raise CairnError("STAGE_BUSY", stage=self._stage, owner=other or "just started")
        self._heartbeat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heartbeat.stop()

    def check(self) -> None:
        """Raise STAGE_BUSY when another run took this one for dead and holds the lock now."""
        other = read_owner(self._folder, self._name)
        if other is None or (other.run, other.pid, other.host) != (self._owner.run, self._owner.pid, self._owner.host):
            raise CairnError("STAGE_BUSY", stage=self._stage, owner=other or "it was taken away")

    def _claimed(self) -> bool:
        """Create the file; on a local file system only one process can."""
        content = json.dumps(asdict(self._owner)).encode()
        if not self._folder.is_local:
            self._folder.write(self._name, content)
            return True
        try:
            handle = os.open(self._folder.file(self._name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        return True
