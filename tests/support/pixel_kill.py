"""As a script (WAREHOUSE SCRATCH): a run of the pixel stage that kills itself between the commits of two tables."""

import os
import signal
import sys
import time
from pathlib import Path

from cairn.pipelines import pixels as stage
from cairn.spark import session
from cairn.spark.ledger import Run
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.pixel_statistics import PIXEL_STATISTICS


def main(warehouse: str, scratch: str) -> None:
    """Run the stage and die when `pixel_statistics` is committed and `text_search` is not."""
    from pixel_trouble import TroubledWork
    from spark_support import made_settings, worker_path

    os.environ["PYTHONPATH"] = worker_path()
    settings = made_settings(Path(warehouse), pixels={"decode_timeout_seconds": 3.0})
    store = Store(session.build(settings, "pixels", str(Path(scratch) / "local")), settings)
    real = Store.commit_files

    def commit_files(self, contract, adds, token):  # type: ignore[no-untyped-def]
        version = real(self, contract, adds, token)
        if contract is PIXEL_STATISTICS or contract.name == PIXEL_STATISTICS.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return version

    Store.commit_files = commit_files  # type: ignore[method-assign]
    stage.PixelWork = TroubledWork  # type: ignore[misc]
    stage.read_pixels(store, Run("killed", "pixels", time.time), Folder(scratch).child("shared").make(), sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
