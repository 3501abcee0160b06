# SPDX-License-Identifier: EUPL-1.2
"""Revocation lists: given, or fetched before any transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from nhi.auth.cert.chain import authorities, signs
from nhi.auth.cert.model import CRLS, ROLES, CrlParams, Revoked, Serials
from nhi.records import Keys, ListParams, RoleName
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.route import delete, list_, read, write
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Fetcher, Outgoing
from vault.outbound.shares import owner_of

_LARGEST: Final = 16 << 20
_UNREADABLE: Final = "failed to parse CRL"
_UNFETCHED: Final = "failed to fetch CRL: "


class CrlEngine(Engine):
    """Revocation lists. A serial number on any of them is refused, whoever issued the list.

    One that is given is taken as it comes: whoever may write lists may write any.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    @list_("crls")
    async def list_crls(self, call: Call, params: ListParams) -> Keys:
        """List the names of all revocation lists."""
        return await CRLS.names(call, params)

    @read("crls/{name:word}")
    async def read_crl(self, call: Call, params: RoleName) -> Serials:
        """Show the serial numbers on a list."""
        found = await CRLS.find(call.reader, params.name)
        if found is None:
            raise Malformed(f"no such CRL {params.name}")
        return Serials({serial: {} for serial in found.serials})

    @write("crls/{name:word}", before="fetch")
    async def write_crl(self, call: Call, params: CrlParams) -> None:
        """Keep a list, instead of the one with this name."""
        revoked = call.prepared
        assert isinstance(revoked, Revoked)
        await CRLS.keep(call.tx, params.name, revoked)

    @delete("crls/{name:word}")
    async def delete_crl(self, call: Call, params: RoleName) -> None:
        """Remove a list."""
        if await CRLS.find(call.tx, params.name) is None:
            raise Malformed(f"no such CRL {params.name}")
        await CRLS.remove(call.tx, params.name)

    async def fetch(self, call: Call, params: CrlParams) -> Revoked:
        """Return what is on the list that was given or named. Raises `Malformed`."""
        if params.crl:
            return _kept(_read(params.crl.encode()))
        if not params.url:
            raise Malformed("one of 'crl' or 'url' must be provided")
        return await fetched(self._fetcher, call, params.url)


async def again(fetcher: Fetcher, call: Call, listed: Revoked, path: Sequence[x509.Certificate]) -> Revoked:
    """Fetch a list anew, for a login with this path. Raises `Malformed`."""
    found = await fetched(fetcher, call, listed.url, path)
    if listed.issuer and found.issuer != listed.issuer:
        raise Malformed(f"{_UNFETCHED}it is of another authority than before")
    return found


async def fetched(fetcher: Fetcher, call: Call, url: str, path: Sequence[x509.Certificate] = ()) -> Revoked:
    """Fetch a list, which must be signed by the authority that it names, if that is a role's or on `path`.

    Raises `Malformed`. Lists come over plain HTTP (RFC 5280 section 8): whoever stands on the way can send another.
    """
    try:
        found = _read(await fetcher.body(Outgoing(url, owner=owner_of(call), largest=_LARGEST)))
    except Unreachable as failure:
        raise Malformed(f"{_UNFETCHED}{failure}") from None
    trusted = [root for role in (await ROLES.every(call.reader)).values() for root in authorities(role).roots]
    signers = [one for one in (*path, *trusted) if one.subject == found.issuer and signs(one)]
    if signers and not any(_signed(found, one) for one in signers):
        raise Malformed(f"{_UNFETCHED}it is not signed by the authority that it names")
    return _kept(found, url)


def _signed(found: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return found.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # other keys: TypeError
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _read(encoded: bytes) -> x509.CertificateRevocationList:
    """Read a list, PEM or DER. Raises `Malformed`."""
    try:
        pem = encoded.lstrip().startswith(b"-----")
        return x509.load_pem_x509_crl(encoded) if pem else x509.load_der_x509_crl(encoded)
    except ValueError:
        raise Malformed(_UNREADABLE) from None


def _kept(found: x509.CertificateRevocationList, url: str = "") -> Revoked:
    """Return what is kept of a list. Raises `Malformed`."""
    try:
        serials = tuple(str(one.serial_number) for one in found)
        until = found.next_update_utc
        issuer = found.issuer.public_bytes()
    except ValueError:
        raise Malformed(_UNREADABLE) from None
    return Revoked(
        serials=serials,
        url=url,
        next_update=int(until.timestamp()) if until is not None else 0,
        issuer=issuer,
    )
