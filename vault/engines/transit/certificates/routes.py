# SPDX-License-Identifier: EUPL-1.2
"""Ask for a certificate for a pair, and keep the chain that comes of it beside it."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

import msgspec

from vault.engines.transit.certificates.chains import Chain, read_chain, require_match
from vault.engines.transit.certificates.csr import read_template, signed_request
from vault.engines.transit.keys.devices import Devices
from vault.engines.transit.keys.key_ring import KeyRing, find_key, stored_version
from vault.engines.transit.keys.key_types import KEY_TYPES, pem_chain
from vault.engines.transit.keys.model import TransitKey
from vault.framework.call import Call
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.keys.asked_first import asked_first
from vault.framework.quote import quote
from vault.framework.route import Params, write

_LONG: Final = 4096
"""Characters of a template that is read off the event loop."""
_NO_VERSION: Final = "no such key version"


class RequestParams(Params, frozen=True, kw_only=True):
    """For which pair a certificate is asked for."""

    name: Annotated[str, Doc("Name of the key.")]
    version: Annotated[int, Doc("Which version of it; 0 for the newest.", clear=True)] = 0
    csr: Annotated[
        str, Doc("A CSR in PEM whose subject and extensions are taken; without one there are none.")
    ] = ""


class ChainParams(Params, frozen=True, kw_only=True):
    """What is kept beside which pair."""

    name: Annotated[str, Doc("Name of the key.")]
    version: Annotated[int, Doc("Which version of it; 0 for the newest.", clear=True)] = 0
    certificate_chain: Annotated[
        str, Doc("Certificates in PEM: the one for this pair, then each that signed the one before.")
    ] = ""


class CertificateRequest(msgspec.Struct, frozen=True):
    """A CSR in PEM, and whose it is."""

    csr: str
    name: str
    type: str


class KeyChain(msgspec.Struct, frozen=True):
    """A chain in PEM, and whose it is."""

    certificate_chain: str
    name: str
    type: str


class CertificateEngine(Engine):
    """Certificates for pairs."""

    def __init__(self, ring: KeyRing, devices: Devices, pool: Pool) -> None:
        """`pool` reads long templates, and verifies chains."""
        self._ring = ring
        self._devices = devices
        self._pool = pool

    @write("keys/{name:word}/csr", writes=False, contained=True, event="transit.csr.generate")
    async def request(self, call: Call, params: RequestParams) -> CertificateRequest:
        """Make a CSR for a pair."""
        key = await self._ring.find(call, params.name)
        settings = _require_pair(params.name, key.settings if key is not None else None)
        assert key is not None
        read = partial(read_template, params.csr)
        builder = await self._pool.do(call, read, slow=len(params.csr) > _LONG)
        number = params.version or settings.latest
        if not settings.min_decryption <= number <= settings.latest:
            raise Malformed(f"could not create the csr: {_NO_VERSION}")
        version = await self._ring.version(call, key, number)
        work = partial(signed_request, builder)
        csr = await self._devices.do(call, version, work, slow=key.kind.rsa)
        return CertificateRequest(csr, params.name, key.kind.name)

    @write("keys/{name:word}/set-certificate", contained=True, event="transit.certificate.write")
    async def set_chain(self, call: Call, params: ChainParams) -> KeyChain:
        """Keep the certificate of a pair, with those that vouch for it."""
        key = _require_pair(params.name, await find_key(call.tx, params.name))
        work = partial(read_chain, params.certificate_chain)
        ask = partial(self._pool.run, client_of(call), work)
        chain = await asked_first(call, params.certificate_chain, Chain, ask)
        number = params.version or key.latest
        usable = key.min_decryption <= number <= key.latest
        stored = await stored_version(call.tx, key, number) if usable else None
        if stored is None:
            raise Malformed(f"failed to persist certificate chain: {_NO_VERSION}")
        require_match(chain, stored.public, key.type)
        await self._ring.replace_version(
            call.tx, key, number, msgspec.structs.replace(stored, chain=tuple(chain))
        )
        return KeyChain(pem_chain(chain), params.name, key.type)


def _require_pair(name: str, key: TransitKey | None) -> TransitKey:
    """Return a key that there are certificates for. Raises `Malformed`."""
    if key is None:
        raise Malformed(f"key with provided name '{quote(name)}' not found")
    if not KEY_TYPES[key.type].signs:
        raise Malformed(f"key type '{key.type}' does not support signing")
    if key.derived:
        raise Malformed("operation not supported for keys with derivation enabled")
    return key
