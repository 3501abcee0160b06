# SPDX-License-Identifier: EUPL-1.2
"""The bytes of certificates: both makers say the same, `ssh-keygen` reads them, and the signatures are good."""

import base64
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity
from hypothesis import given
from hypothesis import strategies as st

from tests.ssh_certificates import Bytes, read_certificate
from tests.ssh_keys import ec_pair, ed25519_pair, public_line, security_key, security_key_ec
from vault.engines.ssh.certificates.certificate import built, certificate
from vault.engines.ssh.certificates.encoder import Statement, check_algorithm, encoded
from vault.engines.ssh.keys.pairs import Signer
from vault.engines.ssh.keys.public_key import line_of, read_public_key
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


def _line(whole: bytes, like: str) -> str:
    return f"{like.split(maxsplit=1)[0]} {base64.b64encode(whole).decode()}\n"


def both(key: str, said: Statement, signer: Signer) -> tuple[Any, Any]:
    public = read_public_key(key, "")
    theirs = built(public, said, signer)
    ours = _line(encoded(public, said, line_of(signer.public_key()), signer, NONCE), theirs)
    assert read_certificate(ours).nonce == NONCE
    return read_certificate(theirs), replace(read_certificate(ours), nonce=read_certificate(theirs).nonce)


@pytest.mark.parametrize("signer", AUTHORITIES)
@pytest.mark.parametrize("key", KEYS)
def test_both_makers_say_the_same_for_each_kind_of_key_and_authority(key: str, signer: Signer) -> None:
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
def test_both_makers_say_the_same_whatever_is_said(begins: int, lasts: int, **said: Any) -> None:
    statement = Statement(begins=Seconds(begins), ends=Seconds(begins + lasts), algorithm="default", **said)
    theirs, ours = both(KEYS[0], statement, AUTHORITIES[0])
    assert ours == theirs


@pytest.mark.parametrize("signer", [*AUTHORITIES, RSA])
@pytest.mark.parametrize("key", KEYS)
def test_the_library_verifies_what_is_signed(key: str, signer: Signer) -> None:
    public = read_public_key(key, "")
    line = certificate(public, SAID, line_of(signer.public_key()), signer, NONCE)
    read = load_ssh_public_identity(line.encode())
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
    said = msgspec.structs.replace(SAID, algorithm=algorithm)
    whole = encoded(read_public_key(KEYS[0], ""), said, line_of(RSA.public_key()), RSA, NONCE)
    assert read_certificate(_line(whole, "ssh-ed25519-cert-v01@openssh.com")).algorithm == name
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
    public = read_public_key(key, "")
    file = tmp_path / "key-cert.pub"
    file.write_text(certificate(public, SAID, line_of(signer.public_key()), signer, NONCE))
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
        public = read_public_key(key, "")
        line = certificate(public, SAID, public_line(ed25519_pair("ca")), ed25519_pair("ca"), NONCE)
        assert read_certificate(line).key_digest == public.digest
        assert read_certificate(line).type.startswith("sk-")
