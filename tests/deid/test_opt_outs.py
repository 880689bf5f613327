"""Lists of who opted out: every CHI is understood, or the list is refused without a word of what stands in it."""

from pathlib import Path

import pytest

from cairn.deid.opt_outs import read_opt_outs
from cairn.errors import EXIT_USAGE, CairnError


def listed(folder: Path, text: bytes) -> Path:
    file = folder / "opt-outs.txt"
    file.write_bytes(text)
    return file


def test_spaces_comments_and_a_lost_zero_are_understood(tmp_path):
    file = listed(tmp_path, b"\xef\xbb\xbf010170 1233\n\n# a remark\n101701233  # the same, out of a spreadsheet\n")
    assert read_opt_outs(file) == {"0101701233"}


def test_lines_that_are_no_chi_end_it_by_their_numbers_alone(tmp_path):
    file = listed(tmp_path, b"0101701233\n0101701235\nZebedee Featherstone\n")
    with pytest.raises(CairnError) as refused:
        read_opt_outs(file)
    assert (refused.value.code, refused.value.exit_code) == ("OPT_OUTS_INVALID", EXIT_USAGE)
    assert "2 lines" in str(refused.value) and "2, 3" in str(refused.value)
    assert "0101701235" not in str(refused.value) and "Zebedee" not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe0\x001\x00"])
def test_a_list_that_is_no_text_is_not_taken_for_an_empty_one(tmp_path, content):
    file = tmp_path / "missing" if content is None else listed(tmp_path, content)
    with pytest.raises(CairnError, match="OPT_OUTS_UNREADABLE"):
        read_opt_outs(file)
