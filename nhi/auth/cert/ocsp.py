# SPDX-License-Identifier: EUPL-1.2
"""Whether a certificate was revoked, by OCSP (RFC 6960). What cannot be found out counts as revoked (SL-30)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from nhi.auth.cert.model import Role
from vault.framework.clock import Clock
from vault.framework.telemetry.log import Log
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Fetcher, OutboundRequest
from vault.outbound.kept import AnswerCache
from vault.outbound.shares import Owner
from vault.values.times import Seconds

_HEADERS: Final = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}
_LARGEST: Final = 65_536
_SKEW: Final = timedelta(seconds=60)
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""How the library refuses what a responder sends."""


class Ocsp:
    """Asks responders, once at a time about one certificate, and not straight after a failure."""

    def __init__(self, fetcher: Fetcher, clock: Clock, log: Log) -> None:
        self._fetcher = fetcher
        self._log = log
        self._asked: AnswerCache[bool] = AnswerCache(clock, fresh=0, stale=0)

    async def objection(
        self, owner: Owner, role: Role, leaf: x509.Certificate, issuer: x509.Certificate, now: Seconds
    ) -> str:
        """Return what speaks against a certificate at `now` (seconds); empty where nothing does."""
        servers = role.ocsp_servers_override or _responders(leaf)
        answers = []
        for server in servers:
            answers.append(await self._ask(owner, role, server, leaf, issuer, now))
            if answers[-1] is not None and not (role.ocsp_query_all_servers and answers[-1]):
                break
        if any(answer is False for answer in answers):
            return "the certificate is revoked"
        known = [answer for answer in answers if answer is not None]
        if known and (len(known) == len(servers) or not role.ocsp_query_all_servers):
            return ""
        if role.ocsp_fail_open:
            return ""
        return "no OCSP responder says that the certificate is good" if servers else "no OCSP responder URL"

    async def _ask(
        self,
        owner: Owner,
        role: Role,
        server: str,
        leaf: x509.Certificate,
        issuer: x509.Certificate,
        now: Seconds,
    ) -> bool | None:
        """Return whether a responder calls a certificate good; None where it says nothing that can be believed."""
        request = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256()).build()
        owner = owner.for_all()
        outgoing = OutboundRequest(
            server,
            owner=owner,
            method="POST",
            headers=_HEADERS,
            body=request.public_bytes(Encoding.DER),
            authorities=role.ocsp_ca_certificates,
            largest=_LARGEST,
        )

        async def ask() -> bool:
            body = await self._fetcher.body(outgoing)
            try:
                at = datetime.fromtimestamp(now, UTC)
                good = judge(ocsp.load_der_ocsp_response(body), leaf, issuer, at)
            except _UNREADABLE:
                raise Unreachable("its answer cannot be believed") from None
            if good is None:
                raise Unreachable("it does not know, or its answer is out of date")
            return good

        try:
            return await self._asked.get((owner, server, role.ocsp_ca_certificates, leaf, issuer), ask)
        except Unreachable as failure:
            self._log.caution("auth", "an OCSP responder cannot be asked", reason=str(failure))
        return None


def judge(
    response: ocsp.OCSPResponse, leaf: x509.Certificate, issuer: x509.Certificate, at: datetime
) -> bool | None:
    """Return what a response says: good, revoked, or nothing. Raises `_UNREADABLE` for what cannot be believed."""
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return None
    if response.serial_number != leaf.serial_number or not _names(response, issuer):
        return None
    signer = _signer(response, issuer, at)
    _verify(signer, response.signature, response.tbs_response_bytes, response.signature_hash_algorithm)
    if response.this_update_utc > at + _SKEW:
        return None
    if response.next_update_utc is None or response.next_update_utc < at - _SKEW:
        return None
    if response.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        return None
    return response.certificate_status is ocsp.OCSPCertStatus.GOOD


def _names(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """Whether a response is about certificates of this issuer: by name and key, in the hash that it chose."""
    wanted = ocsp.OCSPRequestBuilder().add_certificate(issuer, issuer, response.hash_algorithm).build()
    return (response.issuer_name_hash, response.issuer_key_hash) == (
        wanted.issuer_name_hash,
        wanted.issuer_key_hash,
    )


def _signer(response: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime) -> x509.Certificate:
    """Return who must have signed: a responder that the issuer has appointed, or the issuer. Raises as `judge`."""
    for one in response.certificates:
        if one == issuer:
            continue
        usage = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.OCSP_SIGNING not in usage:
            raise ValueError
        one.verify_directly_issued_by(issuer)
        if not one.not_valid_before_utc <= at <= one.not_valid_after_utc:
            raise ValueError
        return one
    return issuer


def _verify(
    signer: x509.Certificate, signature: bytes, data: bytes, algorithm: hashes.HashAlgorithm | None
) -> None:
    key = signer.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, data)
    elif algorithm is None or isinstance(algorithm, hashes.SHA1):
        raise ValueError
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(algorithm))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PKCS1v15(), algorithm)
    else:
        raise ValueError


def _responders(leaf: x509.Certificate) -> Sequence[str]:
    try:
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ()
    return [
        one.access_location.value
        for one in access
        if one.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(one.access_location, x509.UniformResourceIdentifier)
    ]
