# SPDX-License-Identifier: EUPL-1.2
"""A certification authority for tests: certificates of servers, clients and other authorities."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def name(common: str, units: Sequence[str] = ()) -> x509.Name:
    """A subject."""
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, common)]
        + [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    )


class Leaf:
    """A certificate with its key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self.key = key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def write(self, folder: Path) -> tuple[str, str]:
        """Write certificate and key; return the files."""
        stem = folder / f"{self.certificate.serial_number:x}"
        stem.with_suffix(".crt").write_text(self.pem)
        stem.with_suffix(".key").write_text(self.key_pem)
        return str(stem.with_suffix(".crt")), str(stem.with_suffix(".key"))


class Authority(Leaf):
    """Signs."""

    def __init__(
        self, common: str = "authority", parent: "Authority | None" = None, *, lists: bool = True
    ) -> None:
        """`lists` tells whether it may sign revocation lists."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        subject = name(common)
        signer = parent.key if parent else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(parent.certificate.subject if parent else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
            )
            .add_extension(_usage(signs=True, lists=lists), critical=True)
        )
        super().__init__(builder.sign(signer, hashes.SHA256()), key)

    def issue(
        self,
        common: str,
        *,
        names: Sequence[x509.GeneralName] = (),
        units: Sequence[str] = (),
        extensions: Sequence[x509.ExtensionType] = (),
        serial: int = 0,
        until: datetime | None = None,
        since: datetime | None = None,
        server: bool = False,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> Leaf:
        """Issue a certificate, for clients unless it is for a `server`."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(common, units))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(since or now - timedelta(days=20))
            .not_valid_after(until or now + timedelta(days=20))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return Leaf(builder.sign(self.key, hashes.SHA256()), key)

    def context(self, folder: Path, *names: str, until: datetime | None = None) -> ssl.SSLContext:
        """A server's context with a certificate for `names`."""
        leaf = self.issue(names[0], names=[x509.DNSName(one) for one in names], until=until, server=True)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(*leaf.write(folder))
        return made


def _usage(*, signs: bool, lists: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=lists,
        encipher_only=False,
        decipher_only=False,
    )
