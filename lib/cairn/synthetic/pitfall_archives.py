"""Archives that are encrypted, cut, nested or hold strange members."""

from __future__ import annotations

import struct

from cairn.synthetic.bench import Bench
from cairn.synthetic.containers import Member, pack_encrypted_zip, pack_tar, pack_zip
from cairn.synthetic.series import Instance, write
from cairn.synthetic.truth import ANY, CONTAINER, OPTIONAL, QUARANTINED, Entry, instance_truth

FOLDER = "odd/archives"
TOO_DEEP = 12
_UNSUPPORTED_METHOD = 93  # Zstandard (APPNOTE 4.4.5), which Python before 3.14 does not read


def write_archives(bench: Bench) -> None:
    """Put every odd archive on the shelf."""
    _encrypted(bench)
    _cut(bench)
    _odd_members(bench)
    _nested(bench)
    _unsupported(bench)
    _duplicates(bench)


def _images(bench: Bench, label: str, count: int = 3) -> tuple[list[Member], list[Instance]]:
    instances = list(write(bench.ct(label, count=count)))
    return [(f"{number}.dcm", instance.data) for number, instance in enumerate(instances, 1)], instances


def _container(bench: Bench, name: str, data: bytes, label: str, code: str | None = None) -> str:
    """Put a container on the shelf and return its name."""
    outcome = QUARANTINED if code else CONTAINER
    entry = bench.shelf.file(f"{FOLDER}/{name}", data, kind="container", outcome=outcome, code=code, label=label)
    bench.entries.append(entry)
    return entry.path


def _member(bench: Bench, container: str, name: str | bytes, label: str, instance: Instance, **truth: object) -> Entry:
    raw = container.encode() + b"!/" + (name if isinstance(name, bytes) else name.encode())
    facts = {**instance_truth(instance, bench.person(label)), "label": label, **truth}
    entry = bench.shelf.member(raw, **facts)
    bench.entries.append(entry)
    return entry


def _encrypted(bench: Bench) -> None:
    label = "zip_encrypted"
    members, instances = _images(bench, label, 2)
    path = _container(bench, f"{label}.zip", pack_encrypted_zip(members, b"secret", bench.draws(label)), label)
    for (name, _), instance in zip(members, instances, strict=True):
        _member(bench, path, name, label, instance, outcome=QUARANTINED, code="ARCHIVE_ENCRYPTED")


def _cut(bench: Bench) -> None:
    """Archives cut at 60 %: what can be read before the cut may be listed, and must be right if it is."""
    for label, name in (("zip_cut", "cut.zip"), ("tar_cut", "cut.tar"), ("tar_gz_cut", "cut.tar.gz")):
        members, instances = _images(bench, label, 4)
        zipped, moment = label == "zip_cut", bench.shelf.moment
        whole = pack_zip(members, moment) if zipped else pack_tar(members, moment, compress=label == "tar_gz_cut")
        path = _container(bench, name, whole[: len(whole) * 6 // 10], label, "ARCHIVE_CORRUPT")
        for (member, _), instance in zip(members, instances, strict=True):
            _member(bench, path, member, label, instance, outcome=OPTIONAL)
    label = "zip_garbage"
    _container(bench, "garbage.zip", b"PK\3\4" + bench.draws(label).raw_bytes(500), label, "ARCHIVE_CORRUPT")
    label = "zip_wrong_checksum"
    members, (instance,) = _images(bench, label, 1)
    packed = bytearray(pack_zip(members, bench.shelf.moment, compress=False))
    packed[30 + len(members[0][0]) + len(members[0][1]) - 1] ^= 0xFF
    path = _container(bench, "wrong_checksum.zip", bytes(packed), label)
    _member(bench, path, members[0][0], label, instance, outcome=ANY)


def _odd_members(bench: Bench) -> None:
    """Text, nothing, odd names and no member at all; a self-extracting zip."""
    label = "zip_odd_members"
    members, instances = _images(bench, label, 2)
    strangers: list[tuple[str, bytes, str]] = [
        ("README.txt", b"Images of May\n", "NOT_DICOM"),
        ("nothing.dcm", b"", "EMPTY_FILE"),
    ]
    odd = [
        ("no extension/IM 1", members[0][1]),
        ("../above.dcm", members[1][1]),
        *((name, data) for name, data, _ in strangers),
    ]
    path = _container(bench, "odd_members.zip", pack_zip([("folder/", b""), *odd], bench.shelf.moment), label)
    for (name, _), instance in zip(odd[:2], instances, strict=True):
        _member(bench, path, name, label, instance)
    for name, data, code in strangers:
        truth = {"outcome": QUARANTINED, "code": code, "size": len(data), "label": label}
        bench.entries.append(bench.shelf.member(f"{path}!/{name}", **truth))
    _container(bench, "no_members.zip", pack_zip([], bench.shelf.moment), "zip_no_members")
    label = "zip_self_extracting"
    members, (instance,) = _images(bench, label, 1)
    path = _container(bench, "self_extracting.zip", b"MZ" + bytes(510) + pack_zip(members, bench.shelf.moment), label)
    _member(bench, path, members[0][0], label, instance)
    label = "tar_name_not_utf8"
    members, (instance,) = _images(bench, label, 1)
    raw_name = b"caf\xe9.dcm"
    data = pack_tar([(raw_name.decode("utf-8", "surrogateescape"), members[0][1])], bench.shelf.moment)
    _member(bench, _container(bench, "names.tar", data, label), raw_name, label, instance)
    label = "tar_long_name"
    members, (instance,) = _images(bench, label, 1)
    long = "/".join(["deep folder"] * 20) + "/image.dcm"
    _member(
        bench,
        _container(bench, "long_name.tar", pack_tar([(long, members[0][1])], bench.shelf.moment), label),
        long,
        label,
        instance,
    )


def _nested(bench: Bench) -> None:
    """A zip in a tar in a zip; a chain that is deeper than anybody needs."""
    label = "nested_three_deep"
    members, instances = _images(bench, label, 2)
    inner = pack_zip(members, bench.shelf.moment)
    middle = pack_tar([("inner.zip", inner)], bench.shelf.moment)
    path = _container(bench, "outer.zip", pack_zip([("middle.tar", middle)], bench.shelf.moment), label)
    for suffix, data in (("!/middle.tar", middle), ("!/middle.tar!/inner.zip", inner)):
        bench.entries.append(
            bench.shelf.member(path + suffix, kind="container", outcome=CONTAINER, size=len(data), label=label)
        )
    for (name, _), instance in zip(members, instances, strict=True):
        _member(bench, f"{path}!/middle.tar!/inner.zip", name, label, instance)
    label = "nested_too_deep"
    data, sizes = pack_zip(_images(bench, label, 1)[0], bench.shelf.moment), []
    for _ in range(TOO_DEEP):
        sizes.append(len(data))
        data = pack_zip([("more.zip", data)], bench.shelf.moment)
    path = _container(bench, "too_deep.zip", data, label)
    for depth, size in enumerate(reversed(sizes), 1):
        name = path + "!/more.zip" * depth
        bench.entries.append(
            bench.shelf.member(
                name, kind="container", outcome=OPTIONAL, code="ARCHIVE_TOO_DEEP", size=size, label=label
            )
        )


def _unsupported(bench: Bench) -> None:
    """A member compressed with a method that nobody here reads."""
    label = "zip_unsupported_method"
    members, (instance,) = _images(bench, label, 1)
    packed = bytearray(pack_zip(members, bench.shelf.moment, compress=False))
    struct.pack_into("<H", packed, 8, _UNSUPPORTED_METHOD)
    struct.pack_into("<H", packed, packed.rindex(b"PK\1\2") + 10, _UNSUPPORTED_METHOD)
    path = _container(bench, "unsupported.zip", bytes(packed), label)
    _member(bench, path, members[0][0], label, instance, outcome=QUARANTINED, code="ARCHIVE_UNSUPPORTED")


def _duplicates(bench: Bench) -> None:
    """The same file in a zip, in a tar and on its own."""
    label = "duplicate_in_two_archives"
    members, (instance,) = _images(bench, label, 1)
    truth = {"duplicate": "identical", "is_primary": None}
    for name, data in (
        ("first_copy.zip", pack_zip(members, bench.shelf.moment)),
        ("second_copy.tar", pack_tar(members, bench.shelf.moment)),
    ):
        _member(bench, _container(bench, name, data, label), members[0][0], label, instance, **truth)
    bench.place(f"{FOLDER}/third_copy.dcm", instance, label, **truth)
