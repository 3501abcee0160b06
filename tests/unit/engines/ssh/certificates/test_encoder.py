# SPDX-License-Identifier: EUPL-1.2
"""The bytes of certificates: as the library's builder makes them, `ssh-keygen` reads them, and the signatures are good."""

import base64
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_identity,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.ssh_certificates import Bytes, SshCertificate, read_certificate
from tests.ssh_keys import ec_pair, ed25519_pair, public_line, security_key, security_key_ec
from vault.engines.ssh.certificates.encoder import Statement, certificate, check_algorithm
from vault.engines.ssh.keys.issuers import OpenIssuer
from vault.engines.ssh.keys.pairs import Signer
from vault.engines.ssh.keys.public_key import PublicKey, line_of, read_public_key
from vault.framework.errors import Malformed
from vault.values.times import Seconds

NONCE: Final = bytes(range(32))
SAID: Final = Statement(
    serial=0x0123456789ABCDEF,
    host=False,
    key_id="who asked",
    principals=("alice", "bob"),
    begins=Seconds(1_700_000_000),
    ends=Seconds(1_700_000_330),
    critical_options={"force-command": "ls", "verify-required": ""},
    extensions={"login@example.com": "alice", "permit-pty": ""},
    algorithm="default",
)
RSA: Final = rsa.generate_private_key(65537, 2048)
AUTHORITIES: Final[list[Signer]] = [ed25519_pair("ca"), *(ec_pair("ca", bits) for bits in (256, 384, 521))]
KEYS: Final = [
    public_line(ed25519_pair("key")),
    *(public_line(ec_pair("key", bits)) for bits in (256, 384, 521)),
    line_of(RSA.public_key()),
]
NAMES: Final = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
OPTIONS: Final = st.dictionaries(NAMES, st.text(max_size=12), max_size=4).map(
    lambda options: dict(sorted(options.items()))
)


def signed(key: str, said: Statement, signer: Signer) -> str:
    authority = OpenIssuer(signer, read_public_key(line_of(signer.public_key()), ""))
    return certificate(read_public_key(key, ""), said, authority, NONCE)


def built(public: PublicKey, said: Statement, signer: Signer) -> str:
    """What the library's builder makes of it."""
    builder = (
        SSHCertificateBuilder()
        .public_key(public.key)
        .serial(said.serial)
        .type(SSHCertificateType.HOST if said.host else SSHCertificateType.USER)
        .key_id(said.key_id.encode())
        .valid_after(said.begins)
        .valid_before(said.ends)
    )
    names = [name.encode() for name in said.principals]
    if names:
        builder = builder.valid_principals(names)
    else:
        builder = builder.valid_for_all_principals()  # type: ignore[no-untyped-call]  # the library has no type for it
    for name, value in said.critical_options.items():
        builder = builder.add_critical_option(name.encode(), value.encode())
    for name, value in said.extensions.items():
        builder = builder.add_extension(name.encode(), value.encode())
    return builder.sign(signer).public_bytes().decode() + "\n"


def both(key: str, said: Statement, signer: Signer) -> tuple[SshCertificate, SshCertificate]:
    theirs = read_certificate(built(read_public_key(key, ""), said, signer))
    ours = read_certificate(signed(key, said, signer))
    assert ours.nonce == NONCE
    return theirs, replace(ours, nonce=theirs.nonce)


@pytest.mark.parametrize("signer", AUTHORITIES)
@pytest.mark.parametrize("key", KEYS)
def test_it_says_what_the_builder_says_for_each_kind_of_key_and_authority(key: str, signer: Signer) -> None:
    theirs, ours = both(key, SAID, signer)
    assert ours == theirs


@given(
    serial=st.integers(0, 2**64 - 1),
    host=st.booleans(),
    key_id=st.text(max_size=20),
    principals=st.lists(NAMES, max_size=4),
    begins=st.integers(0, 2**32),
    lasts=st.integers(0, 2**32),
    critical_options=OPTIONS,
    extensions=OPTIONS,
)
def test_it_says_what_the_builder_says_whatever_is_said(begins: int, lasts: int, **said: Any) -> None:
    statement = Statement(begins=Seconds(begins), ends=Seconds(begins + lasts), algorithm="default", **said)
    theirs, ours = both(KEYS[0], statement, AUTHORITIES[0])
    assert ours == theirs


def test_where_signatures_are_always_the_same_so_are_all_bytes() -> None:
    """Ed25519 signs alike each time, and the builder takes its nonce from nobody: so the nonce is put in its place."""
    theirs = built(read_public_key(KEYS[0], ""), SAID, AUTHORITIES[0])
    nonce = read_certificate(theirs).nonce
    authority = OpenIssuer(AUTHORITIES[0], read_public_key(line_of(AUTHORITIES[0].public_key()), ""))
    assert certificate(read_public_key(KEYS[0], ""), SAID, authority, nonce) == theirs


@pytest.mark.parametrize("signer", [*AUTHORITIES, RSA])
@pytest.mark.parametrize("key", KEYS)
def test_the_library_verifies_what_is_signed(key: str, signer: Signer) -> None:
    read = load_ssh_public_identity(signed(key, SAID, signer).encode())
    assert isinstance(read, SSHCertificate)
    read.verify_cert_signature()
    assert read.serial == SAID.serial
    assert list(read.valid_principals) == [b"alice", b"bob"]


@pytest.mark.parametrize(
    ("algorithm", "name", "digest"),
    [
        ("default", "rsa-sha2-256", hashes.SHA256()),
        ("rsa-sha2-256", "rsa-sha2-256", hashes.SHA256()),
        ("rsa-sha2-512", "rsa-sha2-512", hashes.SHA512()),
        ("ssh-rsa", "ssh-rsa", hashes.SHA1()),  # noqa: S303 -- what old servers know
    ],
)
def test_a_key_of_rsa_signs_as_the_role_says(algorithm: str, name: str, digest: Any) -> None:
    line = signed(KEYS[0], msgspec.structs.replace(SAID, algorithm=algorithm), RSA)
    assert read_certificate(line).algorithm == name
    whole = base64.b64decode(line.split()[1])
    size = 4 + 4 + len(name) + 4 + 256
    signature = Bytes(whole[-size:])
    assert signature.number(4) == size - 4
    assert signature.string().decode() == name
    RSA.public_key().verify(signature.string(), whole[:-size], padding.PKCS1v15(), digest)


@pytest.mark.parametrize("signer", AUTHORITIES)
def test_other_keys_sign_by_no_algorithm_of_rsa(signer: Signer) -> None:
    check_algorithm(signer, "default")
    check_algorithm(RSA, "ssh-rsa")
    with pytest.raises(Malformed, match="algorithm_signer is for RSA"):
        check_algorithm(signer, "rsa-sha2-256")


@pytest.mark.parametrize("signer", [*AUTHORITIES, RSA])
@pytest.mark.parametrize("key", [security_key("key"), security_key_ec("key"), *KEYS])
def test_ssh_keygen_reads_it(tmp_path: Path, key: str, signer: Signer) -> None:
    file = tmp_path / "key-cert.pub"
    file.write_text(signed(key, SAID, signer))
    shown = subprocess.run(
        ["ssh-keygen", "-L", "-f", file], capture_output=True, text=True, check=True
    ).stdout
    assert "user certificate" in shown
    assert 'Key ID: "who asked"' in shown
    assert "Serial: 81985529216486895" in shown
    assert "force-command ls" in shown
    assert "verify-required" in shown
    assert "permit-pty" in shown
    assert [line.strip() for line in shown.splitlines() if line.strip() in SAID.principals] == [
        "alice",
        "bob",
    ]


def test_a_security_key_keeps_its_application() -> None:
    for key in (security_key("key"), security_key_ec("key")):
        said = read_certificate(signed(key, SAID, ed25519_pair("ca")))
        assert said.key_digest == read_public_key(key, "").digest
        assert said.type.startswith("sk-")
