"""The signed manifest: whatever is changed, added or taken away is told, with the public key alone."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.deid.keys import MasterKey
from cairn.errors import CairnError
from cairn.extract import manifest
from cairn.extract.manifest import Delivered, Difference, differences, files_csv, manifest_json, sign, signing_public

KEY, OTHER = MasterKey("signing", bytes(range(32))), MasterKey("signing", bytes(range(1, 33)))
FILES = {"images/p/st/se/a.dcm": b"one", "images/p/st/se/b.dcm": b"two", "README.md": 'naïve, "quoted"'.encode()}


@pytest.fixture
def extract(tmp_path: Path) -> Path:
    """A folder with a signed manifest."""
    import hashlib

    folder = tmp_path / "an extract"
    for path, data in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    listed = files_csv(Delivered(p, len(d), hashlib.sha256(d).hexdigest()) for p, d in FILES.items())
    document = manifest_json({"project": "p"}, listed, len(FILES), sum(map(len, FILES.values())))
    for name, data in (
        (manifest.FILES, listed),
        (manifest.MANIFEST, document),
        (manifest.SIGNATURE, sign(document, KEY)),
    ):
        (folder / name).write_bytes(data)
    return folder


def found(folder: Path, key: MasterKey = KEY) -> list[Difference]:
    return list(differences(folder, signing_public(key)))


def test_untouched_nothing_differs(extract: Path) -> None:
    assert found(extract) == []


def test_openssl_agrees(extract: Path, tmp_path: Path) -> None:
    """Another implementation of RFC 8032 takes the signature, and not one of another key."""
    (tmp_path / "sig").write_bytes(base64.b64decode((extract / manifest.SIGNATURE).read_bytes()))
    for key, right in ((KEY, True), (OTHER, False)):
        (tmp_path / "pub.pem").write_bytes(manifest.public_key(key))
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(tmp_path / "pub.pem"), "-rawin",
                   "-in", str(extract / manifest.MANIFEST), "-sigfile", str(tmp_path / "sig")]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            pytest.skip("no openssl on this machine")
        assert (done.returncode == 0) is right


def test_each_change_is_told(extract: Path) -> None:
    (extract / "images/p/st/se/a.dcm").write_bytes(b"onf")
    (extract / "images/p/st/se/b.dcm").unlink()
    (extract / "images/p/new.dcm").write_bytes(b"x")
    (extract / "link").symlink_to(extract / "README.md")
    (extract / "linked folder").symlink_to(extract / "images")
    assert found(extract) == [
        Difference("added", "images/p/new.dcm"),
        Difference("added", "link"),
        Difference("added", "linked folder"),
        Difference("changed", "images/p/st/se/a.dcm"),
        Difference("missing", "images/p/st/se/b.dcm"),
    ]


def test_a_link_in_a_files_place_is_a_change(extract: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(FILES["README.md"])
    (extract / "README.md").unlink()
    (extract / "README.md").symlink_to(tmp_path / "copy")
    assert found(extract) == [Difference("changed", "README.md")]


@pytest.mark.parametrize("name", [manifest.MANIFEST, manifest.SIGNATURE, manifest.FILES])
def test_every_bit_of_manifest_list_and_signature_counts(extract: Path, name: str) -> None:
    data = bytearray((extract / name).read_bytes())
    for at in range(0, len(data) - 1, 37):
        (extract / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(CairnError, match=r"SIGNATURE_WRONG|MANIFEST_BROKEN") as fault:
            found(extract)
        assert fault.value.exit_code == 3


def test_another_key_a_missing_file_and_a_foreign_form_are_refused(extract: Path) -> None:
    with pytest.raises(CairnError, match="SIGNATURE_WRONG"):
        found(extract, OTHER)
    (extract / manifest.FILES).unlink()
    with pytest.raises(CairnError, match="MANIFEST_BROKEN"):
        found(extract)
    other = b'{"format": "cairn-extract/9"}'
    (extract / manifest.MANIFEST).write_bytes(other)
    (extract / manifest.SIGNATURE).write_bytes(sign(other, KEY))
    with pytest.raises(CairnError, match=r"MANIFEST_UNKNOWN.*cairn-extract/9"):
        found(extract)
    (extract / manifest.SIGNATURE).unlink()
    with pytest.raises(CairnError, match="MANIFEST_MISSING"):
        found(extract)


def test_what_is_no_public_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(CairnError, match=r"PUBLIC_KEY_UNREADABLE.*No such file"):
        manifest.read_public_key(path)
    path.write_text("no key")
    with pytest.raises(CairnError, match=r"PUBLIC_KEY_UNREADABLE.*no PEM"):
        manifest.read_public_key(path)
    path.write_bytes(manifest.public_key(KEY))
    assert manifest.read_public_key(path).public_bytes_raw() == signing_public(KEY).public_bytes_raw()


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(0), st.text("0123456789abcdef", min_size=1)), unique=True))
def test_the_list_does_not_depend_on_the_order_it_was_made_in(rows: list[tuple[str, int, str]]) -> None:
    rows = [row for row in rows if row[0].isprintable()]
    files = [Delivered(*row) for row in rows]
    assert files_csv(files) == files_csv(reversed(files))
