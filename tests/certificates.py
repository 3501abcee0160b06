# SPDX-License-Identifier: EUPL-1.2
"""Makes X.509 certificates for tests, good ones and odd ones, with nothing of the product."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
DAY = timedelta(days=1)
NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


def named(common: str, *, units: Sequence[str] = ()) -> x509.Name:
    """A subject; without a common name where that is empty."""
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
    parts += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    return x509.Name(parts or [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "o")])


def usage(*, signs: bool = False, signature: bool = True) -> x509.KeyUsage:
    """A key usage."""
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=False,
        key_encipherment=not signature,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def certificate(
    common: str,
    by: Made | None = None,
    *,
    ca: bool | None = False,
    path: int | None = None,
    basics: bool = True,
    purposes: Sequence[x509.ObjectIdentifier] | None = None,
    keys: x509.KeyUsage | None = None,
    sans: Sequence[x509.GeneralName] = (),
    units: Sequence[str] = (),
    since: datetime = NOW - DAY,
    until: datetime = NOW + 30 * DAY,
    key: Key | None = None,
    critical: x509.ExtensionType | None = None,
    more: Sequence[x509.ExtensionType] = (),
    serial: int = 0,
) -> Made:
    """A certificate that `by` signed, or itself.

    `ca` is None for one that does not say whether it is an authority's, `basics` whether what it says is critical.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    issuer = named(common, units=units) if by is None else by.certificate.subject
    builder = (
        x509.CertificateBuilder(issuer, named(common, units=units), key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path), critical=basics)
    if keys is not None:
        builder = builder.add_extension(keys, critical=True)
    if purposes is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    if critical is not None:
        builder = builder.add_extension(critical, critical=True)
    for one in more:
        builder = builder.add_extension(one, critical=False)
    signer = key if by is None else by.key
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Made(builder.sign(signer, digest), key)


def authority(common: str, by: Made | None = None, **more: object) -> Made:
    """An authority."""
    usual: dict[str, object] = {"ca": True, "keys": usage(signs=True), **more}
    return certificate(common, by, **usual)  # type: ignore[arg-type]  # the same words
