# SPDX-License-Identifier: EUPL-1.2
"""Revocation lists as they come (RFC 5280 section 5): read, judged, and compared with the one before.

What is on a list counts as revoked. What is not on it counts as good only if the list is what it stands for: the whole
list of its scope, and no older than the last (section 6.3.3). An attacker on the way, or a script that
writes lists and that
fetches them, can put in its place another that the same authority has signed: a delta list, the list of other
certificates, one from before. None of these replaces a list.

All of this takes time for a large list, and touches nothing else: it is done in a thread.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.asn1 import TLV, BitString, decode_der, encode_der, sequence
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from nhi.auth.cert.chain import signs
from nhi.auth.cert.model import RevocationList
from vault.framework.errors import Malformed
from vault.values.times import Seconds

UNREADABLE: Final = "failed to parse CRL"
NO_SIGNER: Final = "signed by an authority whose key usage has no cRLSign"
_REFUSALS: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""How the library refuses what it cannot read."""
_PROCESSED: Final = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
    }
)
"""Extensions that may be critical; a list with another critical one says something that is not understood here."""
_PROCESSED_OF_ENTRIES: Final = frozenset(
    {
        CRLEntryExtensionOID.CERTIFICATE_ISSUER,  # a serial number counts, whichever issuer it is of
        CRLEntryExtensionOID.CRL_REASON,
        CRLEntryExtensionOID.INVALIDITY_DATE,
    }
)


_BEGINS: Final = b"-----BEGIN X509 CRL-----"
_ENDS: Final = b"-----END X509 CRL-----"


@sequence
class _SignedList:
    """A list as it is signed (RFC 5280 section 5.1.1)."""

    tbs: TLV
    algorithm: TLV
    signature: BitString


class ParsedList(msgspec.Struct, frozen=True):
    """A list: what is kept of it, without the serial numbers, and these in decimal, sorted as text."""

    kept: RevocationList
    serials: Sequence[str]


def read(encoded: bytes, url: str = "", trusted: Sequence[x509.Certificate] = ()) -> ParsedList:
    """Read a list, PEM or DER, which must be signed by the authority that it names, if that is one of those `trusted`.

    Lists come over plain HTTP (RFC 5280 section 8): an attacker on the way can send another one. Raises `Malformed`, with words that go on from "it is".
    """
    try:
        der = _der(encoded)
        found = x509.load_der_x509_crl(der)
        signers = [one for one in trusted if one.subject == found.issuer and signs(one)]
        if signers and not _signed(found, der, signers):
            raise Malformed("not signed by the authority that it names")
        if signers and not _signed(found, der, [one for one in signers if _signs_lists(one)]):
            raise Malformed(NO_SIGNER)
        return _read(found, url)
    except _REFUSALS:
        raise Malformed(UNREADABLE) from None


def objection(old: RevocationList, new: RevocationList) -> str:
    """Return what speaks against a list in the place of another of the same authority; empty where nothing does."""
    if old.scope is not None and new.scope != old.scope:
        return "for another part of the authority's certificates than the list before"
    if new.number < old.number or new.this_update < old.this_update:
        return "older than the list before"
    return ""


def _der(encoded: bytes) -> bytes:
    """Return the bytes of a list that may be PEM (RFC 7468). Raises `ValueError`."""
    _, begins, rest = encoded.partition(_BEGINS)
    return binascii.a2b_base64(rest.partition(_ENDS)[0]) if begins else encoded


def _signs_lists(authority: x509.Certificate) -> bool:
    """Whether an authority may sign lists: it says so, or it says nothing of what its key is for (RFC 5280, 6.3.3 (f))."""
    try:
        return authority.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _signed(
    found: x509.CertificateRevocationList, der: bytes, authorities: Iterable[x509.Certificate]
) -> bool:
    """Whether one of these has signed a list.

    What is signed is taken from the bytes that came: the library would encode the list anew for each answer, and hold
    the interpreter for as long.
    """
    outer = decode_der(_SignedList, der)
    signed = encode_der(outer.tbs)
    parameters, digest = found.signature_algorithm_parameters, found.signature_hash_algorithm
    for one in authorities:
        key = one.public_key()
        try:
            if (
                isinstance(key, RSAPublicKey)
                and isinstance(parameters, PKCS1v15 | PSS)
                and digest is not None
            ):
                key.verify(found.signature, signed, parameters, digest)
            elif isinstance(key, EllipticCurvePublicKey) and isinstance(parameters, ECDSA):
                key.verify(found.signature, signed, parameters)
            elif isinstance(key, Ed25519PublicKey | Ed448PublicKey) and parameters is None:
                key.verify(found.signature, signed)
            else:
                continue
        except InvalidSignature:
            continue
        return True
    return False


def _read(found: x509.CertificateRevocationList, url: str) -> ParsedList:
    number, scope = -1, b""
    for extension in found.extensions:
        value = extension.value
        if isinstance(value, x509.DeltaCRLIndicator):
            raise Malformed("a delta list, which is no list by itself")
        if extension.critical and extension.oid not in _PROCESSED:
            raise Malformed("a list with a critical extension that is not known here")
        if isinstance(value, x509.CRLNumber):
            number = value.crl_number
        elif isinstance(value, x509.IssuingDistributionPoint):
            scope = value.public_bytes()
    until = found.next_update_utc
    kept = RevocationList(
        serials=(),
        url=url,
        next_update=Seconds(int(until.timestamp())) if until is not None else Seconds(0),
        issuer=found.issuer.public_bytes(),
        number=number,
        this_update=Seconds(int(found.last_update_utc.timestamp())),
        scope=scope,
    )
    return ParsedList(kept, sorted(_serials(found)))


def _serials(found: x509.CertificateRevocationList) -> Iterator[str]:
    for one in found:
        if any(each.critical and each.oid not in _PROCESSED_OF_ENTRIES for each in one.extensions):
            raise Malformed("a list with a critical extension that is not known here")
        yield str(one.serial_number)
