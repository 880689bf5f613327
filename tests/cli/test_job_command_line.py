"""What all jobs' command lines share: usage errors, exit codes, silence about values."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cairn import cli
from cairn.errors import CairnError

SECRET = "0101010101"


def parser() -> cli.JobParser:
    made = cli.job_parser("headers", "Read headers.")
    made.add_argument("--pixels", choices=["small", "full"])
    made.add_argument("--count", type=int)
    made.add_argument("roots", nargs="*", default=[])
    return made


def usage_error(capsys, arguments: list[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_common_options():
    options = parser().parse_args(
        ["a", "--warehouse", "w", "--settings", "s.yaml", "--keys", "k", "--json", "--set", "a.b=1", "--set", "c.d=2"]
    )
    assert (options.warehouse, options.settings, options.keys, options.json) == ("w", Path("s.yaml"), "k", True)
    assert options.set == ["a.b=1", "c.d=2"]
    assert parser().parse_args([]).set == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--warehose", "w"], ["[UNKNOWN_OPTION]", "'--warehose'", "Did you mean '--warehouse'?"]),
        (["--setings=x"], ["[UNKNOWN_OPTION]", "'--setings'", "Did you mean '--settings'?"]),
        (["--ware", "w"], ["[UNKNOWN_OPTION]", "'--ware'"]),
        (["--pixels", "smal"], ["[BAD_ARGUMENTS]", "Did you mean 'small'?"]),
        (["--count", "many"], ["[BAD_ARGUMENTS]", "headers", "--count"]),
        (["--warehouse"], ["[BAD_ARGUMENTS]", "--warehouse"]),
    ],
)
def test_usage_errors_name_the_nearest_word(capsys, arguments, expected):
    said = usage_error(capsys, arguments)
    for text in expected:
        assert text in said
    assert said.startswith("usage: headers")


def test_one_word_too_many(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.job_parser("demo", None).parse_args(["extra"])
    assert ended.value.code == 2
    assert "one word too many" in capsys.readouterr().err


def test_settings_from_the_command_line(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("headers: {tries: 4}\n")
    options = parser().parse_args(
        ["--settings", str(file), "--set", "headers.overlap=2", "--warehouse", "w", "--keys", "a: b"]
    )
    settings = cli.load_settings(options, {"CAIRN_INVENTORY__TRIES": "9"})
    assert (settings.headers.tries, settings.headers.overlap, settings.inventory.tries) == (4, 2, 9)
    assert (settings.warehouse.root, settings.keys.directory) == ("w", "a: b")


def test_json_is_the_last_line(capsys):
    print("something before")
    cli.report(parser().parse_args(["--json"]), {"b": 2, "a": 1})
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"a": 1, "b": 2}
    cli.report(parser().parse_args([]), {"a": 1})
    assert capsys.readouterr().out == ""


def ends_with(fault: BaseException):
    def main(arguments: list[str] | None) -> int:
        raise fault

    return main


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (CairnError("TABLE_MISSING", table="t", job="inventory"), 2, "[TABLE_MISSING]"),
        (CairnError("NO_DISK", path="/x"), 4, "[NO_DISK]"),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (OSError(errno.ENOSPC, "No space", f"/nowhere/{SECRET}/x"), 4, "[NO_DISK]"),
        (OSError(errno.ENOSPC, "No space"), 4, "[NO_DISK]"),
        (OSError(errno.EACCES, "Denied", SECRET), 1, "PermissionError"),
        (ValueError(f"bad CHI {SECRET}"), 1, "ValueError"),
    ],
)
def test_exit_codes_and_no_values(capsys, fault, code, said):
    assert cli.main_guard(ends_with(fault), [], {}) == code
    heard = capsys.readouterr()
    assert said in heard.err
    assert SECRET not in heard.err
    assert heard.out == ""


def test_result_and_arguments_pass_through():
    assert cli.main_guard(lambda arguments: len(arguments or []), ["a", "b", "c"], {}) == 3


def test_unforeseen_fault_shows_frames_and_causes_without_values(capsys):
    def inner() -> None:
        raise KeyError(SECRET)

    def main(arguments: list[str] | None) -> int:
        patient = SECRET
        try:
            inner()
        except KeyError as cause:
            raise RuntimeError(f"for {patient}") from cause
        return 0

    assert cli.main_guard(main, [], {}) == 1
    said = capsys.readouterr().err
    assert said.startswith("[UNFORESEEN] The job ended with RuntimeError.")
    assert "in inner" in said and "from KeyError" in said and Path(__file__).name in said
    assert SECRET not in said
    assert cli.main_guard(main, [], {"CAIRN_DEBUG": "1"}) == 1
    assert SECRET in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_fault(tmp_path):
    job = tmp_path / "job.py"
    job.write_text(
        "import sys\nfrom cairn import cli\n"
        "def main(arguments):\n    for _ in range(100000):\n        print('x' * 100)\n    return 0\n"
        "sys.exit(cli.main_guard(main))\n"
    )
    package = Path(cli.__file__).parents[1]
    command = f"'{sys.executable}' '{job}' | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={"PYTHONPATH": str(package), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_module_needs_no_spark():
    code = (
        "import sys, cairn.cli; cairn.cli.job_parser('x', None); sys.exit(bool({'pyspark', 'yaml'} & {*sys.modules}))"
    )
    package = Path(cli.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(package)}, check=False).returncode == 0
