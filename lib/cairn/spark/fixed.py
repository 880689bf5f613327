"""Frames that are carried out once: what is written from them does not change when the tables under them do."""

from __future__ import annotations

from pyspark.sql import DataFrame


def fixed(frame: DataFrame) -> DataFrame:
    """Carry a frame out now and return its rows, which stay as they are.

    On a cluster the rows are kept in the run's shared scratch folder (:class:`cairn.pipelines.job.Job` names it to
    Spark), not by the executors that computed them: Spark cannot make them again, and who loses an executor would lose
    the run. In local mode there is no executor to lose.

    Parameters
    ----------
    frame : DataFrame
        Any frame.
    """
    master = frame.sparkSession.sparkContext.master or ""
    return frame.localCheckpoint() if master == "local" or master.startswith("local[") else frame.checkpoint()
