"""All stages over an archive in an object store: the rows that the truth expects, with addresses in the store."""

import json
import os
import subprocess
import sys
from urllib.parse import unquote_to_bytes

import pyarrow.parquet as pq
import pytest
import whole_run
from spark_support import forget

from cairn.spark.store import Store
from cairn.synthetic.archive import synthesise
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE

moto_server = pytest.importorskip("moto.server", reason="moto's server is not installed")
s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")


@pytest.fixture
def endpoint():
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.slow
def test_an_archive_in_an_object_store(endpoint, spark, tmp_path):
    synthesise(tmp_path / "made", scale=0.01, seed=8)
    archive = tmp_path / "made" / "archive"
    access = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "made", "AWS_SECRET_ACCESS_KEY": "up",
              "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip
    filesystem = s3fs.S3FileSystem(endpoint_url=endpoint, key="made", secret="up")
    filesystem.mkdir("archive")
    put = set()
    for path in archive.rglob("*"):
        name = os.fsencode(path.relative_to(archive))
        if path.is_file() and not path.is_symlink() and name.decode("utf-8", "replace").isascii():
            filesystem.put_file(str(path), f"archive/{name.decode()}")
            put.add(name.decode())

    command = [sys.executable, whole_run.__file__, str(tmp_path / "warehouse"), str(tmp_path / "scratch"), "never"]
    done = subprocess.run(
        [*command, "local[2]", "s3://archive"], capture_output=True, text=True, env=os.environ | access, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])["adds_up"]

    forget(spark)
    store = Store(spark, whole_run.run_settings(str(tmp_path / "warehouse"), "local[2]"))
    rows = by_path(store, INSTANCE, "sop_instance_uid")
    bad = by_path(store, QUARANTINE, "code")
    compared = 0
    for entry in pq.read_table(tmp_path / "made" / "truth" / "entries.parquet").to_pylist():
        path = entry["raw_path"]
        if path.decode("utf-8", "replace").split("!/")[0] not in put:
            continue
        if entry["outcome"] == "parsed" and entry["sop_instance_uid"]:
            assert rows[path] == entry["sop_instance_uid"]
            compared += 1
        if entry["outcome"] == "quarantined":
            assert bad[path] == entry["code"]
    assert compared > 50
    forget(spark)


def by_path(store, contract, column):
    found = store.read(contract).select("uri", column).collect()
    return {unquote_to_bytes(row["uri"].removeprefix("s3://archive/")): row[column] for row in found}
