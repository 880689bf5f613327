"""Scratch folders of runs: claimed at the start, removed at the end, swept when their run was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cairn.settings import Settings
from cairn.spark.liveness import Heartbeat, is_alive, read_owner, this_process
from cairn.spark.storage import Folder

OWNER = "owner.json"


@contextmanager
def claim(settings: Settings, run: str, clock: Callable[[], float]) -> Iterator[tuple[Folder, str]]:
    """Hold the scratch folders of one run, after sweeping those of dead ones.

    Parameters
    ----------
    settings : Settings
        Says where scratch lies.
    run : str
        Run id.
    clock : callable
        Returns seconds since the epoch.

    Yields
    ------
    (Folder, str)
        The shared folder of the run (plans), and the local one for Spark, empty when only the cluster can tell.
    """
    local_root = Folder(settings.scratch.local or settings.scratch_root)
    roots = {settings.scratch_root: Folder(settings.scratch_root)}
    if local_root.is_local:
        roots[local_root.uri] = local_root
    beats = []
    for root in roots.values():
        sweep(root, clock(), settings.scratch.dead_after_seconds)
        own = root.child(f"run-{run}").make()
        owner = this_process(run, clock())
        beats.append(Heartbeat(own, OWNER, owner, settings.scratch.heartbeat_seconds, clock).start())
    local = local_root.child(f"run-{run}").child("spark").make().path if local_root.is_local else ""
    try:
        yield Folder(settings.scratch_root).child(f"run-{run}"), local
    finally:
        for beat in beats:
            beat.stop()
        for root in roots.values():
            root.child(f"run-{run}").remove_folder()


def sweep(root: Folder, now: float, dead_after_seconds: float) -> list[str]:
    """Remove the folders of runs that are dead and return their names.

    A folder without an owner file is between two lines of a run that starts or ends, or is damaged; it goes when it has
    no owner for as long as a dead run would have had no heartbeat.
    """
    swept = []
    for name in root.names(folders=True):
        if not name.startswith("run-"):
            continue
        owner = read_owner(root.child(name), OWNER)
        if owner is None:
            changed = root.filesystem.get_file_info(root.file(name)).mtime
            dead = changed is not None and now - changed.timestamp() >= dead_after_seconds
        else:
            dead = not is_alive(owner, now, dead_after_seconds)
        if dead:
            root.child(name).remove_folder()
            swept.append(name)
    return swept
