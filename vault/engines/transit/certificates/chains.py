# SPDX-License-Identifier: EUPL-1.2
"""Chains of certificates (RFC 5280): the one of a pair first, then each that signed the one before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vault.engines.transit.keys.key_types import EXTERNAL
from vault.framework.errors import Malformed

_LONGEST: Final = 131_072
"""Characters of a chain: sixteen certificates with ML-DSA-87 have fewer."""
_MOST: Final = 16
"""Certificates of a chain; each costs a verification."""
_NONE: Final = "provided certificate chain did not contain any valid PEM encoded certificate"
_NO_PEM: Final = "could not decode a PEM block in the certificate chain"
_BROKEN: Final = "could not parse a certificate in the certificate chain"
_STORING: Final = "failed to persist certificate chain: "
_NO_LEAF: Final = _STORING + "certificate in the first element is not a valid leaf certificate"
_NO_CA: Final = _STORING + "certificate in the last element is not a valid CA certificate"
_LEAVES: Final = _STORING + "could not validate if there is only one leaf certificate in the provided chain"
_UNSIGNED: Final = _STORING + "a certificate in the chain is not signed by the one after it"
_TOO_LONG: Final = f"a certificate chain may have at most {_MOST} certificates and {_LONGEST} characters"
_OTHER_KEY: Final = _STORING + "leaf certificate public key does not match the selected key version"
_OTHER_KIND: Final = _STORING + (
    "could not validate key match between leaf certificate key and key entry in transit: provided leaf certificate "
    "public key algorithm '{}' does not match the transit key type '{}'"
)


class Chain(tuple[bytes, ...]):
    """Certificates in DER whose signatures were found good."""

    __slots__ = ()


def read_chain(text: str) -> Chain:
    """Return a chain that is sent in PEM. It takes milliseconds: each signature but the last one's is verified.

    Whether the certificates are valid today is for whoever relies on them. Raises `Malformed`.
    """
    if len(text) > _LONGEST:
        raise Malformed(_TOO_LONG)
    chain = _parsed(text.strip())
    if _is_authority(chain[0]):
        raise Malformed(_NO_LEAF)
    if len(chain) > 1 and not _is_authority(chain[-1]):
        raise Malformed(_NO_CA)
    if sum(not _is_authority(one) for one in chain) > 1:
        raise Malformed(_LEAVES)
    for one, issuer in pairwise(chain):
        _check_signed(one, issuer)
    return Chain(one.public_bytes(Encoding.DER) for one in chain)


def require_match(chain: Chain, public: bytes, kind: str) -> None:
    """Make sure that a chain is for the pair of a kind with this SubjectPublicKeyInfo. Raises `Malformed`."""
    theirs = x509.load_der_x509_certificate(chain[0]).public_key()
    algorithm = _algorithm(theirs)
    if kind != EXTERNAL and not kind.startswith(algorithm.lower().replace("-", "")):
        raise Malformed(_OTHER_KIND.format(algorithm, kind))
    if theirs.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != public:
        raise Malformed(_OTHER_KEY)


def _parsed(text: str) -> Sequence[x509.Certificate]:
    if text and not (text.endswith("-----") and "-----BEGIN " in text):
        raise Malformed(_NO_PEM)
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise Malformed(_NONE)
    if text.count("-----BEGIN ") > _MOST:
        raise Malformed(_TOO_LONG)
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise Malformed(_BROKEN) from None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
    except (ValueError, x509.DuplicateExtension):
        raise Malformed(_BROKEN) from None


def _check_signed(one: x509.Certificate, issuer: x509.Certificate) -> None:
    try:
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        raise Malformed(_UNSIGNED) from None


def _algorithm(public: object) -> str:
    """Return what a kind of public key is called where a kind of transit key begins likewise."""
    if isinstance(public, rsa.RSAPublicKey):
        return "RSA"
    if isinstance(public, ec.EllipticCurvePublicKey):
        return "ECDSA"
    return "Ed25519" if isinstance(public, ed25519.Ed25519PublicKey) else "ML-DSA"
