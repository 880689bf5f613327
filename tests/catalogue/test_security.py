"""TLS and authentication as the options pass them through, as far as the stand-in can do it.

It can do TLS with the server's and the client's certificate and SCRAM-SHA-256. It has no X.509, LDAP, Kerberos or OIDC
authentication; those options go to the driver in the same way.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest
from catalogue_server import Server, started
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cairn.catalogue.connection import Connection
from cairn.catalogue.reading import Reader
from cairn.errors import CairnError
from cairn.settings import Catalogue

USER, PASSWORD = "cairn", "ge%2Fheim"


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that signs itself; return the paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(private)
    return paths


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server that wants TLS and a user, and the folder of certificates."""
    folder = tmp_path_factory.mktemp("secured")
    server = started(folder / "server")
    database = pymongo.MongoClient(server.uri)["admin"]
    database.command("createUser", USER, pwd="ge/heim", roles=[{"role": "readWrite", "db": "cairn"}])
    server.kill()
    public, key = certificate(folder, "server")
    certificate(folder, "stranger")
    server.options = ("--auth", "--tls-cert-file", str(public), "--tls-key-file", str(key))
    server.start()
    yield server, folder
    server.kill()


def reached(server: Server, folder: Path, password: str = PASSWORD, **options: str) -> list[str]:
    uri = f"mongodb://{USER}:{password}@{server.address}/?directConnection=true"
    secret = folder / f"uri {password} {len(options)}"
    secret.write_text(uri)
    secret.chmod(0o600)
    given = Catalogue(uri_file=str(secret), timeout_seconds=2, tries=1, options=options)
    return Reader(Connection(given)).collections()


def test_with_certificate_and_password_the_catalogue_opens(secured: tuple[Server, Path]) -> None:
    server, folder = secured
    assert reached(server, folder, tls="true", tlsCAFile=str(folder / "server.pem"), authSource="admin") == []


@pytest.mark.parametrize(
    ("password", "authority", "code"),
    [
        ("wrong", "server.pem", "CATALOGUE_REFUSED"),
        (PASSWORD, "stranger.pem", "CATALOGUE_UNREACHABLE"),  # somebody else's certificate
        (PASSWORD, "", "CATALOGUE_UNREACHABLE"),  # no TLS at all
        (PASSWORD, "missing.pem", "CATALOGUE_OPTIONS"),
    ],
)
def test_whatever_is_wrong_ends_with_a_code_and_without_the_secret(
    secured: tuple[Server, Path], password: str, authority: str, code: str
) -> None:
    server, folder = secured
    options = {"tls": "true", "tlsCAFile": str(folder / authority)} if authority else {}
    with pytest.raises(CairnError) as told:
        reached(server, folder, password, **options, authSource="admin")
    assert told.value.code == code
    assert all(word not in str(told.value) for word in ("heim", "wrong", USER + ":", server.address))
    assert told.value.exit_code == (2 if code == "CATALOGUE_OPTIONS" else 4)
