# SPDX-License-Identifier: EUPL-1.2
"""Whether a certificate is one that a role trusts.

A role names authorities, or pins one certificate. A pinned one is compared as a whole, every byte of it: a serial
number and a subject are nothing that others could not write into theirs (SL-29). Paths to authorities are validated by
cryptography's verifier (RFC 5280).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nhi.auth.cert.model import Role
from vault.framework.errors import Malformed
from vault.values.times import Seconds

_PURPOSES: Final = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


class TrustedCertificates(msgspec.Struct, frozen=True):
    """What a role trusts: authorities, and certificates that are pinned (DER)."""

    roots: tuple[x509.Certificate, ...]
    pinned: frozenset[bytes]


def authorities(role: Role) -> TrustedCertificates:
    """Return what a role trusts. Raises `Malformed`."""
    return _trusted(role.certificate)


@lru_cache(maxsize=1024)
def _trusted(text: str) -> TrustedCertificates:
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise Malformed("failed to parse certificate") from None
    roots = tuple(one for one in found if signs(one))
    leaves = [one for one in found if not signs(one)]
    if not all(_for_clients(one) for one in leaves):
        raise Malformed(
            "nonCA certificates should have TLS client authentication set as an extended key usage"
        )
    return TrustedCertificates(roots, frozenset(one.public_bytes(Encoding.DER) for one in leaves))


def read(der: bytes) -> x509.Certificate:
    """Return the certificate of a connection. Raises `Malformed`."""
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        raise Malformed("invalid certificate or no client certificate supplied") from None


def path_of(
    leaf: x509.Certificate, role: Role, now: Seconds, between: Sequence[x509.Certificate] = ()
) -> Sequence[x509.Certificate]:
    """Return the path from a certificate to an authority that a role trusts at `now` (seconds), nothing for none.

    `between` are certificates that came with it, which may be on the path. A certificate that is pinned is its path.
    """
    trusted = authorities(role)
    at = datetime.fromtimestamp(now, UTC)
    der = leaf.public_bytes(Encoding.DER)
    own = der in trusted.pinned or any(der == root.public_bytes(Encoding.DER) for root in trusted.roots)
    if not _for_clients(leaf):
        return ()
    if own:
        good = leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc and _understood(leaf)
        return (leaf,) if good else ()
    if not trusted.roots:
        return ()
    policy = verification.PolicyBuilder().store(verification.Store(list(trusted.roots))).time(at)
    policy = policy.extension_policies(ca_policy=_AUTHORITIES, ee_policy=_ANYBODY)
    try:
        return policy.build_client_verifier().verify(leaf, list(between)).chain
    except (verification.VerificationError, ValueError):
        return ()


@lru_cache(maxsize=1)
def nobodys_authority() -> str:
    """Return an authority (PEM) that signs nothing: what is checked against it takes as long as against a role's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def signs(certificate: x509.Certificate) -> bool:
    """Whether a certificate is an authority's."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _for_clients(certificate: x509.Certificate) -> bool:
    """Whether a certificate may prove a client: it says so, or it says nothing of purposes (RFC 5280, 4.2.1.12)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return not _PURPOSES.isdisjoint(usage)


def _understood(certificate: x509.Certificate) -> bool:
    """Whether nothing critical in a certificate is unknown here (RFC 5280, 4.2): who pins it pins that too."""
    try:
        return not any(
            one.critical and isinstance(one.value, x509.UnrecognizedExtension)
            for one in certificate.extensions
        )
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False


def _may_sign(
    policy: verification.Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    """Refuse an authority whose key usage, if it has any, is not to sign certificates (RFC 5280, 6.1.4 n)."""
    del policy, certificate
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("the key is not for signing certificates")


def _is_authority(
    policy: verification.Policy, certificate: x509.Certificate, says: x509.BasicConstraints
) -> None:
    """Refuse what is no authority's (RFC 5280, 6.1.4 k), whether it is critical that it says so or not."""
    del policy, certificate
    if not says.ca:
        raise ValueError("it is no authority's")


_AUTHORITIES: Final = (
    verification.ExtensionPolicy.webpki_defaults_ca()
    .may_be_present(x509.KeyUsage, verification.Criticality.AGNOSTIC, _may_sign)
    .require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, _is_authority)
)
_ANYBODY: Final = verification.ExtensionPolicy.permit_all()
