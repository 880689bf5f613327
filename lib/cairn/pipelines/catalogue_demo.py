"""The demo's catalogue: in the server that the settings name, else in a stand-in of its own where one is installed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cairn.catalogue.connection import VARIABLE
from cairn.pipelines.catalogue_diff import diff
from cairn.pipelines.catalogue_push import JOB, push
from cairn.pipelines.job import Job
from cairn.settings import Settings
from cairn.spark.store import Store

STAND_IN = "secantusd-py"
"""Speaks MongoDB's protocol (requirements/demo.in). Only ever a process of its own."""
_START_SECONDS = 30.0


def catalogue_lines(job: Job, home: Path, environment: Mapping[str, str]) -> list[str]:
    """Push the demo's tables into a catalogue, compare, and return it in words.

    Parameters
    ----------
    job : Job
        The demo's job.
    home : pathlib.Path
        Folder of the demo; the stand-in's files lie there.
    environment : mapping of str to str
        May have the URI of a server.
    """
    settings = job.store.settings
    if settings.catalogue.uri_file or environment.get(VARIABLE):
        return _mirrored(job, settings)
    command = Path(sys.executable).parent / STAND_IN
    if not command.exists():
        return [f"No catalogue in MongoDB: name one by catalogue.uri_file, or have {STAND_IN} installed."]
    folder = home / "catalogue"
    folder.mkdir(exist_ok=True)
    with _server(command, folder) as uri:
        secret = folder / "uri"
        secret.touch(0o600)
        secret.write_text(uri)
        catalogue = settings.catalogue.model_copy(update={"uri_file": str(secret)})
        return _mirrored(job, settings.model_copy(update={"catalogue": catalogue}))


def _mirrored(job: Job, settings: Settings) -> list[str]:
    store = Store(job.store.spark, settings)
    done = push(store, job.run(JOB), take_over=True)
    return ["The catalogue in MongoDB follows the tables:", *(one.line() for one in done), *diff(store).lines()]


@contextmanager
def _server(command: Path, folder: Path) -> Iterator[str]:
    """Run the stand-in while the block lasts; yield its URI."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder / "data"), "--sync-on-commit"]
    with open(folder / "log.txt", "wb") as log:
        process = subprocess.Popen([str(command), *options], stdout=log, stderr=log, cwd=folder, env=dict(os.environ))
    try:
        _wait(port)
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true"
    finally:
        process.terminate()
        process.wait()


def _wait(port: int) -> None:
    """Wait until the server listens; when it does not, the push says that it does not answer."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
