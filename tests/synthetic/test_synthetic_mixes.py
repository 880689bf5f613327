"""The corpora of the benchmark, and the job that makes all of this."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pyarrow.parquet as pq
import pydicom
import pytest

from cairn.cli import main_guard
from cairn.synthetic.mixes import SHARES, synthesise_mix

JOB = Path(__file__).resolve().parents[2] / "jobs" / "synthesise.py"


def test_shares_add_up() -> None:
    for shares in SHARES.values():
        assert sum(shares.values()) == pytest.approx(1.0)


def test_mix_has_the_shares_and_the_truth(tmp_path: Path) -> None:
    summary = synthesise_mix(tmp_path, "benchmark", 200, seed=3, pixels="small")
    assert summary["kinds"] == {"ct": 100, "implicit": 30, "rle": 20, "j2k": 20, "small": 20, "enhanced": 4, "bad": 6}
    entries = pq.read_table(tmp_path / "truth" / "entries.parquet").to_pylist()
    assert len(entries) == 200
    for entry in entries:
        data = (tmp_path / "archive" / entry["path"]).read_bytes()
        assert len(data) == entry["size"]
        if entry["outcome"] == "parsed":
            dataset = pydicom.dcmread(tmp_path / "archive" / entry["path"], stop_before_pixels=True)
            assert (dataset.SOPInstanceUID, dataset.PatientID) == (entry["sop_instance_uid"], entry["chi"])
    assert sum(entry["size"] for entry in entries) == summary["bytes"]
    unique = {entry["sop_instance_uid"] for entry in entries if entry["outcome"] == "parsed"}
    assert len(unique) == 194


def test_full_slices_are_as_large_as_real_ones(tmp_path: Path) -> None:
    synthesise_mix(tmp_path, "ct", 3, seed=3)
    for file in (tmp_path / "archive").rglob("*.dcm"):
        dataset = pydicom.dcmread(file)
        assert (dataset.Rows, dataset.Columns, len(dataset.PixelData)) == (512, 512, 524288)


def test_enhanced_instances_have_sixty_frames(tmp_path: Path) -> None:
    synthesise_mix(tmp_path, "enhanced", 2, seed=3)
    for file in (tmp_path / "archive").rglob("*.dcm"):
        dataset = pydicom.dcmread(file)
        assert len(dataset.PerFrameFunctionalGroupsSequence) == dataset.NumberOfFrames == 60


def run_job(*arguments: str) -> int:
    main = runpy.run_path(str(JOB))["main"]
    code: int = main_guard(main, list(arguments))
    return code


def test_job_prints_counts_and_refuses_a_full_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_job(str(tmp_path), "--mix", "ct", "--files", "5", "--pixels", "small", "--json") == 0
    out = capsys.readouterr().out.splitlines()
    assert json.loads(out[-1])["outcomes"] == {"parsed": 5}
    assert run_job(str(tmp_path), "--mix", "ct", "--files", "5") == 2
    assert "OUTPUT_NOT_EMPTY" in capsys.readouterr().err


def test_job_makes_an_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_job(str(tmp_path), "--scale", "0.01", "--seed", "4", "--json") == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out.splitlines()[-1])
    assert summary["entries"] == pq.read_metadata(tmp_path / "truth" / "entries.parquet").num_rows
    assert (summary["seed"], summary["scale"]) == (4, 0.01)
    assert "studies" in captured.err


def test_job_needs_no_spark() -> None:
    assert runpy.run_path(str(JOB))["SPARK"] is False
