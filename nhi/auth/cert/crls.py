# SPDX-License-Identifier: EUPL-1.2
"""Revocation lists: given, or fetched before any transaction."""

from __future__ import annotations

from cryptography import x509

from nhi.auth.cert.model import CRLS, CrlParams, Revoked, Serials
from nhi.records import Keys, ListParams, RoleName
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.route import delete, list_, read, write
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Fetcher, Outgoing

_LARGEST = 16 << 20


class CrlEngine(Engine):
    """Revocation lists. A serial number on any of them is refused, whoever issued the list."""

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
        del call
        if params.crl:
            return read_list(params.crl.encode())
        if not params.url:
            raise Malformed("one of 'crl' or 'url' must be provided")
        return await fetched(self._fetcher, params.url)


async def fetched(fetcher: Fetcher, url: str) -> Revoked:
    """Fetch a list. Raises `Malformed`."""
    try:
        body = await fetcher.body(Outgoing(url, largest=_LARGEST))
    except Unreachable as failure:
        raise Malformed(f"failed to fetch CRL: {failure}") from None
    return read_list(body, url)


def read_list(encoded: bytes, url: str = "") -> Revoked:
    """Read a list, PEM or DER. Its signature is not looked at: whoever may write lists may write any. Raises `Malformed`."""
    try:
        pem = encoded.lstrip().startswith(b"-----")
        found = x509.load_pem_x509_crl(encoded) if pem else x509.load_der_x509_crl(encoded)
        serials = tuple(str(one.serial_number) for one in found)
        until = found.next_update_utc
    except ValueError:
        raise Malformed("failed to parse CRL") from None
    return Revoked(serials=serials, url=url, next_update=int(until.timestamp()) if until is not None else 0)
