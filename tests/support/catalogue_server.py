"""A server that speaks MongoDB's protocol, for tests: SecantusDB as a process of its own, killed when asked."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "secantusd-py"


class Server:
    """One server on a free port of 127.0.0.1; what it acknowledged lies on the disk.

    Parameters
    ----------
    folder : pathlib.Path
        Its own folder.
    *options : str
        Further options of the command.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        return f"mongodb://{self.address}/?directConnection=true"

    def start(self) -> Server:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [str(COMMAND), "--host", "127.0.0.1", "--port", str(self.port), "--storage-path",
                   str(self.folder / "data"), "--sync-on-commit", *self.options]  # fmt: skip
        with open(self.folder / "log.txt", "ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
                preexec_fn=_die_with_parent,
            )
        self._wait()
        return self

    def _wait(self) -> None:
        from spark_support import wait_for

        def answers() -> bool:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True

        wait_for(answers, 60)

    def kill(self) -> None:
        """SIGKILL, as the power would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def secret(self, uri: str = "") -> str:
        """Return the path of a file with the URI, as settings name it."""
        path = self.folder / "uri"
        path.write_text(uri or self.uri)
        path.chmod(0o600)
        return str(path)


def _die_with_parent() -> None:
    """Linux: a test run that is killed takes its server along (prctl(2), PR_SET_PDEATHSIG; it survives exec)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def started(folder: Path, *options: str) -> Server:
    """Return a running server; skip the test where there is none."""
    if not COMMAND.exists():
        pytest.skip("SecantusDB is not installed (requirements/demo.in)")
    return Server(folder, *options).start()
