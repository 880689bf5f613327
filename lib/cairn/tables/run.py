"""`identifiable.run` and `identifiable.run_batch`: the ledger of what ran, on what, with what result."""

import pyarrow as pa

from cairn.tables.contract import Column, Contract

COUNTS = pa.map_(pa.string(), pa.int64())
MOMENT = pa.timestamp("us", tz="UTC")

# fmt: off
RUN = Contract(
    zone="identifiable",
    name="run",
    grain="one run of one job",
    key=("run",),
    comment="Every run: when, with which settings and code, which table versions it read and wrote, what it counted.",
    columns=(
        Column("run", pa.string(), "Run id."),
        Column("job", pa.string(), "Job or stage.", nullable=False),
        Column("status", pa.string(), "running, done, failed (with a code), or killed (found dead by the next run).", nullable=False),
        Column("started", MOMENT, "Start, UTC.", nullable=False),
        Column("ended", MOMENT, "End, UTC; NULL while it runs and when it was killed."),
        Column("code", pa.string(), "Error condition that ended it; NULL otherwise."),
        Column("versions_read", COUNTS, "Table name to the Delta version that was read."),
        Column("versions_written", COUNTS, "Table name to its Delta version after the run."),
        Column("counts", COUNTS, "What the job counted: entries found, unchanged, parsed, quarantined …"),
        Column("settings_hash", pa.string(), "SHA-256 (hex) of the settings.", nullable=False),
        Column("code_version", pa.string(), "Version of Cairn.", nullable=False),
        Column("cpu_seconds", pa.float64(), "CPU seconds of Python workers and JVM together, where they could be told."),
        Column("last_run_of_job", pa.string(), "Run id of the job's previous run that was done; NULL for the first."),
    ),
    statistics=("run", "job", "status"),
)

RUN_BATCH = Contract(
    zone="identifiable",
    name="run_batch",
    grain="one committed batch of one run",
    key=("run", "batch"),
    comment="Every batch that a resumable stage committed: its counts and its cost.",
    columns=(
        Column("run", pa.string(), "Run id."),
        Column("batch", pa.int64(), "Number of the batch within the run, from 1."),
        Column("job", pa.string(), "Stage.", nullable=False),
        Column("committed", MOMENT, "When its files were ready to commit, UTC.", nullable=False),
        Column("entries", pa.int64(), "Entries of the batch.", nullable=False),
        Column("counts", COUNTS, "Rows by table, and what the stage counted."),
        Column("worker_cpu_seconds", pa.float64(), "CPU seconds of the batch's Python workers."),
        Column("seconds", pa.float64(), "Time from the batch's start to its files being ready."),
    ),
    statistics=("run",),
)
# fmt: on
