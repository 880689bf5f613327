"""Addresses: every name goes into a URI and comes back."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.archive.address import Location, local_path, local_uri, locate, member_uri, quote, split_uri, unquote

NAMES = st.binary(min_size=1, max_size=40) | st.text(min_size=1, max_size=40).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        (b"a.dcm", "a.dcm"),
        (b"two words", "two%20words"),
        (b"100%", "100%25"),
        (b"a!/b", "a%21/b"),
        (b"x#2", "x%232"),
        (b"back\\slash?", "back%5Cslash%3F"),
        ("Café".encode(), "Café"),
        (b"Caf\xe9", "Caf%E9"),
        (b"../../etc", "../../etc"),
        (b"line\nbreak", "line%0Abreak"),
        ("no\u00a0break\u2028".encode(), "no%C2%A0break%E2%80%A8"),
    ],
)
def test_quote(name, part):
    assert quote(name) == part
    assert unquote(part) == name


@given(NAMES)
def test_a_name_round_trips(name):
    part = quote(name)
    assert unquote(part) == name
    assert "!" not in part and "#" not in part
    part.encode("utf-8")


@given(NAMES, st.lists(NAMES, min_size=1, max_size=3), st.integers(1, 3))
def test_members_separate_whatever_the_names_hold(file, members, ordinal):
    uri = local_uri(b"/" + file)
    for name in members:
        uri = member_uri(uri, name, ordinal)
    outermost, parts = split_uri(uri)
    assert outermost == local_uri(b"/" + file)
    assert [unquote(part) for part in parts] == members


@given(st.binary(min_size=1, max_size=40).filter(lambda b: b"\0" not in b))
def test_a_local_path_round_trips(name):
    path = os.fsdecode(b"/data/" + name)
    assert local_path(local_uri(path)) == path


@given(NAMES, NAMES, st.integers(1, 3), st.integers(1, 3))
def test_different_members_have_different_addresses(one, two, first, second):
    same = (one, first) == (two, second)
    assert (member_uri("file:///a", one, first) == member_uri("file:///a", two, second)) == same


@pytest.mark.parametrize(
    ("address", "uri", "protocol"),
    [
        ("/data/a b", "file:///data/a%20b", "file"),
        ("data", "file:///home/data", "file"),
        ("/data/100%25", "file:///data/100%2525", "file"),
        ("file:///data/a%20b", "file:///data/a%20b", "file"),
        ("file:/data/./x/../y/", "file:///data/y", "file"),
        ("s3a://bucket/a%20b/", "s3a://bucket/a%20b/", "s3"),
        ("s3n://bucket", "s3n://bucket", "s3"),
        ("s3://bucket/x", "s3://bucket/x", "s3"),
        ("abfss://c@acc.dfs.core.windows.net/x", "abfss://c@acc.dfs.core.windows.net/x", "abfs"),
        ("wasbs://c@acc.blob.core.windows.net/x", "wasbs://c@acc.blob.core.windows.net/x", "abfs"),
        ("gs://bucket/x", "gs://bucket/x", "gs"),
        ("hdfs://name:8020/x", "hdfs://name:8020/x", "hdfs"),
    ],
)
def test_locate(address, uri, protocol):
    location = locate(address, "/home")
    assert location.uri == uri
    assert location.protocol == protocol
    assert locate(location.uri).path == location.path


def test_a_child_of_a_location():
    assert Location("s3a", "bucket", "/x").child("y z").uri == "s3a://bucket/x/y%20z"
