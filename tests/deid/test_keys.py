"""Key files: what is refused, what is made, and that nothing of a key shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cairn.deid import keys
from cairn.deid.keys import SITE, Purpose
from cairn.errors import CairnError

GOOD = bytes((i * i * 7 + 31 * i + 3) % 251 for i in range(32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    made.mkdir(mode=0o700)
    return made


def put(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "site.key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def code_of(folder: Path) -> str:
    with pytest.raises(CairnError) as caught:
        keys.read_key(folder)
    assert GOOD.hex() not in str(caught.value)
    assert caught.value.exit_code == 2
    return caught.value.code


@pytest.mark.parametrize("content", [GOOD, GOOD.hex().encode(), GOOD.hex().upper().encode() + b"\r\n"])
def test_raw_and_hexadecimal_files_hold_the_same_key(folder: Path, content: bytes):
    put(folder, content)
    assert keys.read_key(folder).secret == GOOD


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "KEY_LENGTH"),
        (GOOD[:31], "KEY_LENGTH"),
        (GOOD + b"x", "KEY_LENGTH"),
        (GOOD.hex().encode()[:-2], "KEY_LENGTH"),
        (bytes(32), "KEY_WEAK"),
        (b"\xa5" * 32, "KEY_WEAK"),
        (bytes(range(32)), "KEY_WEAK"),
        (bytes(range(200, 136, -2)), "KEY_WEAK"),
        (b"correct horse battery staple 32!", "KEY_WEAK"),
        (GOOD[:8] * 4, "KEY_WEAK"),
    ],
)
def test_a_short_or_guessable_key_is_refused(folder: Path, content: bytes, code: str):
    put(folder, content)
    assert code_of(folder) == code


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o660, 0o700, 0o610])
def test_a_key_that_others_could_read_is_refused(folder: Path, mode: int):
    put(folder, GOOD, mode)
    assert code_of(folder) == "KEY_UNSAFE"


def test_a_read_only_key_is_fine(folder: Path):
    put(folder, GOOD, 0o400)
    assert keys.read_key(folder).secret == GOOD


def test_a_missing_key_and_a_missing_folder_are_told(folder: Path):
    assert code_of(folder) == "KEY_MISSING"
    assert code_of(folder / "none") == "KEY_MISSING"


def test_links_pipes_and_folders_are_no_keys(folder: Path, tmp_path: Path):
    elsewhere = tmp_path / "real.key"
    elsewhere.write_bytes(GOOD)
    elsewhere.chmod(0o600)
    path = folder / "site.key"
    path.symlink_to(elsewhere)
    assert code_of(folder) == "KEY_UNSAFE"
    path.unlink()
    os.link(elsewhere, path)
    assert code_of(folder) == "KEY_UNSAFE"
    path.unlink()
    os.mkfifo(path, 0o600)
    assert code_of(folder) == "KEY_UNSAFE"
    path.unlink()
    path.mkdir(mode=0o700)
    assert code_of(folder) == "KEY_UNSAFE"


def test_a_folder_that_others_can_write_is_refused(folder: Path):
    put(folder, GOOD)
    folder.chmod(0o770)
    assert code_of(folder) == "KEY_UNSAFE"


def test_a_made_key_can_be_read_and_is_never_overwritten(folder: Path):
    made = keys.make_key(folder, SITE)
    assert keys.read_key(folder) == made
    assert (folder / "site.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(CairnError) as caught:
        keys.make_key(folder, SITE)
    assert caught.value.code == "KEY_EXISTS"
    assert keys.read_key(folder) == made


def test_a_key_is_private_whatever_the_umask(folder: Path):
    before = os.umask(0)
    try:
        keys.make_key(folder, "heart-1")
    finally:
        os.umask(before)
    assert (folder / "project-heart-1.key").stat().st_mode & 0o777 == 0o600


def test_rotation_keeps_the_old_key_beside_the_new_one(folder: Path):
    old = keys.make_key(folder)
    new = keys.rotate_key(folder)
    assert new.secret != old.secret
    retired = folder / f"site.key.{old.fingerprint}"
    assert bytes.fromhex(retired.read_text()) == old.secret
    assert keys.key_names(folder) == [SITE]


@pytest.mark.parametrize("name", ["", "../site", "Heart", "a/b", "x" * 64, ".hidden", "a\nb"])
def test_a_project_cannot_lead_out_of_the_folder(folder: Path, name: str):
    with pytest.raises(CairnError) as caught:
        keys.make_key(folder, name)
    assert caught.value.code == "KEY_NAME"


def test_sub_keys_are_those_of_rfc_5869(folder: Path):
    """HKDF written out again with hmac alone (extract with a zero salt, one block of expand)."""
    import hmac

    put(folder, GOOD)
    extracted = hmac.digest(bytes(32), GOOD, "sha256")
    for purpose in Purpose:
        expected = hmac.digest(extracted, f"cairn/1/{purpose.value}".encode() + b"\x01", "sha256")
        assert keys.read_key(folder).sub_key(purpose).secret == expected


def test_no_representation_shows_a_key(folder: Path):
    put(folder, GOOD)
    key = keys.read_key(folder)
    shown = repr(key) + str(key) + repr([key.sub_key(p) for p in Purpose])
    assert GOOD.hex() not in shown and str(GOOD) not in shown
    assert not any(key.sub_key(p).secret.hex() in shown for p in Purpose)
