# SPDX-License-Identifier: EUPL-1.2
"""Requests for certificates: what is taken from a template, what is not, and that each kind of pair signs its own."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AttributeOID, NameOID

from tests.unit.engines.transit.test_signatures import PAIRS, made
from vault.engines.transit.certificates.csr import read_template, signed_request
from vault.framework.errors import Malformed

SUBJECT = x509.Name(
    [x509.NameAttribute(NameOID.COMMON_NAME, "a.example"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ö")]
)
NAMES = x509.SubjectAlternativeName([x509.DNSName("a.example")])
LIMITS = x509.BasicConstraints(ca=False, path_length=None)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def template() -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(SUBJECT)
    builder = builder.add_extension(NAMES, critical=False).add_extension(LIMITS, critical=True)
    builder = builder.add_extension(UNKNOWN, critical=False)
    builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"password")
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_signs_a_request_for_itself_with_what_the_template_asks_for(name: str) -> None:
    _, version = made(name)
    request = x509.load_pem_x509_csr(signed_request(read_template(template()), version.signer).encode())
    assert request.is_signature_valid
    public = request.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public == version.stored.public
    assert request.subject.public_bytes() == SUBJECT.public_bytes()
    extensions = {one.oid: (one.critical, one.value) for one in request.extensions}
    assert extensions == {
        NAMES.oid: (False, NAMES),
        LIMITS.oid: (True, LIMITS),
        UNKNOWN.oid: (False, UNKNOWN),
    }
    with pytest.raises(x509.AttributeNotFound):
        request.attributes.get_attribute_for_oid(AttributeOID.CHALLENGE_PASSWORD)


def test_without_a_template_there_is_neither_subject_nor_extension() -> None:
    _, version = made("ed25519")
    request = x509.load_pem_x509_csr(signed_request(read_template(""), version.signer).encode())
    assert list(request.subject) == list(request.extensions) == []
    assert request.is_signature_valid


def test_what_is_no_request_is_refused_before_much_of_it_is_read() -> None:
    good = template()
    read_template(good)
    for wrong in ("x", good.replace("BEGIN", "END"), good + " " * 66_000):
        with pytest.raises(Malformed, match="could not decode PEM CSR"):
            read_template(wrong)
    lines = good.splitlines()
    for wrong in (good.replace("REQUEST", "X"), "\n".join(lines[:3] + lines[-1:])):
        with pytest.raises(Malformed, match="could not parse the CSR"):
            read_template(wrong)
