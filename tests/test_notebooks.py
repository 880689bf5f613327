"""Every notebook runs from its first cell to its last on a made-up archive, and draws what it says."""

from __future__ import annotations

import base64
import io
import json
import os
from pathlib import Path

import matplotlib.image
import nbformat
import pytest
from cohort_zone import people, write
from made_world import clock
from nbclient import NotebookClient
from spark_support import ROOT, forget, made_settings, quick_options

from cairn.pipelines.archive_to_tables import run_stages
from cairn.pipelines.job import Job
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.synthetic.archive import synthesise
from cairn.synthetic.text_set import made_text_image

NOTEBOOKS = ROOT / "notebooks"
TEXTS = ("ultrasound", "colour", "scanned", "overlay", "turned", "above_window")


@pytest.fixture(scope="module")
def warehouse(spark, tmp_path_factory) -> Path:
    """A warehouse made of a made-up archive and of images with text."""
    folder = tmp_path_factory.mktemp("notebooks")
    synthesise(folder / "out", scale=0.03, seed=3)
    screens = folder / "screens"
    screens.mkdir()
    for group in TEXTS:
        (screens / f"{group}.dcm").write_bytes(made_text_image(4, group, 0).data)
    forget(spark)
    store = Store(spark, made_settings(folder / "warehouse"))
    job = Job(store, Folder(str(folder / "scratch")).make(), clock(), io.StringIO())
    run_stages(job, [str(folder / "out" / "archive"), str(screens)])
    forget(spark)
    return folder / "warehouse"


@pytest.fixture(scope="module")
def cohort_warehouse(spark, tmp_path_factory) -> Path:
    """A warehouse with a de-identified zone of made-up people."""
    folder = tmp_path_factory.mktemp("cohort notebook")
    forget(spark)
    write(Store(spark, made_settings(folder)), people(1200))
    forget(spark)
    return folder


def run(name: str, warehouse: Path, monkeypatch) -> nbformat.NotebookNode:
    """Run a notebook in a kernel of its own; an error in a cell fails the test with that cell."""
    monkeypatch.setenv("CAIRN_WAREHOUSE", str(warehouse))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "lib"))
    monkeypatch.setenv("CAIRN_SPARK__CONF", json.dumps(quick_options()))
    monkeypatch.setenv("CAIRN_HOME", os.environ.get("CAIRN_HOME", str(ROOT / ".cairn")))
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    place = {"metadata": {"path": str(warehouse)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place).execute()
    return notebook


def pictures(notebook: nbformat.NotebookNode) -> list:
    """Return the pictures of all cells as arrays."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                found.append(matplotlib.image.imread(io.BytesIO(base64.b64decode(output["data"]["image/png"]))))
    return found


@pytest.mark.slow
def test_pixels(warehouse, monkeypatch, tmp_path):
    notebook = run("pixels.ipynb", warehouse, monkeypatch)
    drawn = pictures(notebook)
    assert len(drawn) == 5
    montage = drawn[0][..., :3]
    red = (montage[..., 0] > 0.9) & (montage[..., 1] < 0.2) & (montage[..., 2] < 0.2)
    assert red.sum() > 200, "boxes of own values"
    assert all(picture.std() > 0.01 for picture in drawn[:4])
    if folder := os.environ.get("CAIRN_KEEP_NOTEBOOKS"):
        nbformat.write(notebook, Path(folder) / "pixels.ipynb")


@pytest.mark.slow
def test_archive(warehouse, monkeypatch):
    notebook = run("archive.ipynb", warehouse, monkeypatch)
    drawn = pictures(notebook)
    assert len(drawn) == 5 and all(picture.std() > 0.01 for picture in drawn)
    said = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "present" in said
    if folder := os.environ.get("CAIRN_KEEP_NOTEBOOKS"):
        nbformat.write(notebook, Path(folder) / "archive.ipynb")


@pytest.mark.slow
def test_cohort(cohort_warehouse, monkeypatch):
    notebook = run("cohort.ipynb", cohort_warehouse, monkeypatch)
    drawn = pictures(notebook)
    assert len(drawn) == 2 and all(picture.std() > 0.01 for picture in drawn)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output.get("text", "") for output in outputs)
    assert "Did you mean 'ischaemic_stroke'?" in said
    assert "list 1: frozen." in said and "nothing changed" in said
    steps = [line.split()[0] for line in said.partition("after the step")[2].splitlines()[1:6]]
    assert steps[0] == "1,200" and "small" not in steps
    (chart,) = [output["data"]["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert all(f">{step}<" in chart or step in chart for step in steps)
    if folder := os.environ.get("CAIRN_KEEP_NOTEBOOKS"):
        nbformat.write(notebook, Path(folder) / "cohort.ipynb")


def test_notebooks_are_kept_without_outputs():
    for path in NOTEBOOKS.glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells if cell.cell_type == "code")
