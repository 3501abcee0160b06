# SPDX-License-Identifier: EUPL-1.2
"""Sign, verify and MAC: one text, or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from vault.engines.transit.answers import (
    Hmac,
    HmacItem,
    Hmacs,
    SignatureInfo,
    SignatureItem,
    Signatures,
    Verdict,
    VerdictItem,
    Verdicts,
)
from vault.engines.transit.batch import SignItem, read_signatures
from vault.engines.transit.encryption import (
    TOO_OLD,
    decode,
    decode_context,
    split_version,
    version_to_use,
)
from vault.engines.transit.encryption_routes import NO_KEY
from vault.engines.transit.keys.derivation import public_text
from vault.engines.transit.keys.devices import Devices
from vault.engines.transit.keys.key_ring import KeyRing, OpenKey
from vault.engines.transit.keys.key_types import Signer
from vault.engines.transit.keys.model import SOFT_DELETED
from vault.engines.transit.params import (
    USUAL_HASH,
    HmacParams,
    HmacPathParams,
    MethodParams,
    SignParams,
    SignPathParams,
    VerifyParams,
    VerifyPathParams,
)
from vault.engines.transit.signatures import (
    HASHES,
    NONE,
    Choice,
    Signature,
    choose,
    known_hash,
    mac,
    mac_holds,
    sign,
    verify,
    version_to_mac,
)
from vault.engines.transit.usage.uses import Uses
from vault.framework.call import Call
from vault.framework.concurrency.offload import Pool
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.limits import AT_ONCE
from vault.framework.route import write

_NO_MAC_INPUT: Final = "missing input for HMAC"
_NO_INPUT: Final = "missing input"
_NOT_NONE: Final = "algorithm cannot be none"
_UNKNOWN_MAC: Final = "unsupported algorithm '\\x00'"
_NEITHER: Final = "neither a 'signature' nor an 'hmac' were given to verify"
_MAC_TOO_OLD: Final = "cannot verify HMAC: version is too old (disallowed by policy)"


class SignatureEngine(Engine):
    """Signatures and MACs."""

    def __init__(self, ring: KeyRing, devices: Devices, uses: Uses, pool: Pool) -> None:
        """`pool` does what takes milliseconds: RSA, and long texts."""
        self._ring = ring
        self._devices = devices
        self._uses = uses
        self._pool = pool

    @write("sign/{name:word}", writes=False, contained=True, event="transit.data.sign")
    async def sign(self, call: Call, params: SignParams) -> SignatureInfo | Signatures:
        """Sign."""
        return await self._sign_all(call, params, params.hash_algorithm or params.algorithm or USUAL_HASH)

    @write("sign/{name:word}/{urlalgorithm}", writes=False, contained=True, event="transit.data.sign")
    async def sign_with(self, call: Call, params: SignPathParams) -> SignatureInfo | Signatures:
        """Sign, with the hash that the path says."""
        return await self._sign_all(call, params, params.urlalgorithm)

    @write("verify/{name:word}", writes=False, contained=True, event="transit.data.verify")
    async def verify(self, call: Call, params: VerifyParams) -> Verdict | Verdicts:
        """Tell whether a signature, or a MAC, is good."""
        return await self._verify_all(call, params, params.hash_algorithm or params.algorithm or USUAL_HASH)

    @write("verify/{name:word}/{urlalgorithm}", writes=False, contained=True, event="transit.data.verify")
    async def verify_with(self, call: Call, params: VerifyPathParams) -> Verdict | Verdicts:
        """Tell whether a signature, or a MAC, is good, with the hash that the path says."""
        return await self._verify_all(call, params, params.urlalgorithm)

    @write("hmac/{name:word}", writes=False, contained=True, event="transit.data.hmac")
    async def hmac(self, call: Call, params: HmacParams) -> Hmac | Hmacs:
        """Make a MAC."""
        return await self._mac_all(call, params, params.algorithm)

    @write("hmac/{name:word}/{urlalgorithm}", writes=False, contained=True, event="transit.data.hmac")
    async def hmac_with(self, call: Call, params: HmacPathParams) -> Hmac | Hmacs:
        """Make a MAC, with the hash that the path says."""
        return await self._mac_all(call, params, params.urlalgorithm)

    async def _sign_all(self, call: Call, params: SignParams, hash_name: str) -> SignatureInfo | Signatures:
        key = await self._ring.find(call, params.name)
        if key is None:
            raise Malformed("signing key not found")
        if not key.kind.signs:
            raise Malformed(f"key type {key.kind.name} does not support signing")
        choice = _chosen(params, hash_name)
        if params.batch_input is None:
            item = SignItem(input=params.input or "", context=params.context)
            made, number = await self._sign(call, key, item, params.key_version, choice)
            public = public_text(made.pair) if made.pair is not None else msgspec.UNSET
            return SignatureInfo(made.text, number, public)
        found = []
        turn = TimeSlice()
        for item in read_signatures(params.batch_input, "transit.batchRequestSignItem"):
            try:
                made, number = await self._sign(call, key, item, params.key_version, choice)
            except Malformed as error:
                found.append(SignatureItem(key_version=0, error=error.message, reference=item.reference))
            else:
                public = public_text(made.pair) if made.pair is not None else msgspec.UNSET
                found.append(
                    SignatureItem(
                        signature=made.text, key_version=number, publickey=public, reference=item.reference
                    )
                )
            await turn.step()
        return Signatures(found)

    async def _sign(
        self, call: Call, key: OpenKey, item: SignItem, wanted: int, choice: Choice
    ) -> tuple[Signature, int]:
        """Return the signature of one input, and the version that made it. Raises `Malformed`."""
        if item.input is None:
            raise Malformed(_NO_INPUT)
        data = await self._input(call, item.input)
        context = await self._context(call, item.context)
        if key.settings.soft_deleted:
            raise Malformed(SOFT_DELETED)
        number = version_to_use(key.settings, wanted, "signing")
        version = await self._ring.version(call, key, number)

        def work(signer: Signer) -> Signature:
            return sign(key, version, data, context, choice, signer=signer)

        slow = key.kind.rsa or len(data) + len(context) > AT_ONCE
        made = await self._devices.do(call, version, work, slow=slow)
        self._uses.note(call, key, number)
        return made, number

    async def _verify_all(self, call: Call, params: VerifyParams, hash_name: str) -> Verdict | Verdicts:
        items = None
        if params.batch_input is not None:
            items = read_signatures(params.batch_input, "transit.batchRequestVerifyItem")
        macs = _asks_macs(params, items)
        key = await self._ring.find(call, params.name)
        if key is None:
            raise Malformed(NO_KEY if macs else "signature verification key not found")
        if not macs and not key.kind.signs:
            raise Malformed(f"key type {key.kind.name} does not support verification")
        if macs:
            if known_hash(hash_name) == NONE:
                raise Malformed(_NOT_NONE)
            check = partial(self._verify_mac, call, key, hash_name)
        else:
            check = partial(self._verify, call, key, _chosen(params, hash_name))
        if items is None:
            single = SignItem(
                input=params.input or "", context=params.context, signature=params.signature, hmac=params.hmac
            )
            return Verdict(await check(single))
        found = []
        turn = TimeSlice()
        for item in items:
            wrong: str | msgspec.UnsetType = msgspec.UNSET
            try:
                good = await check(item)
            except Malformed as error:
                good, wrong = False, error.message
            shown = msgspec.UNSET if macs and not good else good
            found.append(VerdictItem(valid=shown, error=wrong, reference=item.reference))
            await turn.step()
        return Verdicts(found)

    async def _verify(self, call: Call, key: OpenKey, choice: Choice, item: SignItem) -> bool:
        data = await self._input(call, item.input or "")
        context = await self._context(call, item.context)
        if key.settings.soft_deleted:
            raise Malformed(SOFT_DELETED)
        number, signature = split_version(key.settings, item.signature, "signature")
        version = await self._ring.version(call, key, number)
        work = partial(verify, key, version, data, signature, context, choice)
        return await self._pool.do(call, work, slow=len(data) + len(context) + len(signature) > AT_ONCE)

    async def _verify_mac(self, call: Call, key: OpenKey, hash_name: str, item: SignItem) -> bool:
        data = await self._input(call, item.input or "")
        if key.settings.soft_deleted:
            raise Malformed(SOFT_DELETED)
        number, text = _split_mac(key, item.hmac)
        given = await self._pool.do(
            call,
            partial(decode, text, "unable to decode verification HMAC as base64: "),
            slow=len(text) > AT_ONCE,
        )
        version = await self._ring.version(call, key, number)
        return await self._pool.do(
            call, partial(mac_holds, version, data, given, hash_name), slow=len(data) > AT_ONCE
        )

    async def _mac_all(self, call: Call, params: HmacParams, hash_name: str) -> Hmac | Hmacs:
        key = await self._ring.find(call, params.name)
        if key is None:
            raise Malformed(NO_KEY)
        if key.settings.soft_deleted:
            raise Malformed(SOFT_DELETED)
        number = version_to_mac(key.settings, params.key_version)
        if hash_name == NONE:
            raise Malformed(_NOT_NONE)
        if hash_name not in HASHES:
            raise Malformed(_UNKNOWN_MAC)
        version = await self._ring.version(call, key, number)

        async def one(text: str | None) -> str:
            if text is None:
                raise Malformed(_NO_MAC_INPUT)
            data = await self._input(call, text)
            return await self._pool.do(call, partial(mac, version, data, hash_name), slow=len(data) > AT_ONCE)

        if params.batch_input is None:
            return Hmac(await one(params.input))
        found = []
        turn = TimeSlice()
        for item in read_signatures(params.batch_input, "transit.batchRequestHMACItem"):
            try:
                found.append(HmacItem(hmac=await one(item.input), reference=item.reference))
            except Malformed as error:
                found.append(HmacItem(error=error.message, reference=item.reference))
            await turn.step()
        return Hmacs(found)

    async def _input(self, call: Call, text: str) -> bytes:
        """Return what is to be signed. Raises `Malformed`."""
        work = partial(decode, text, "unable to decode input as base64: ")
        return await self._pool.do(call, work, slow=len(text) > AT_ONCE)

    async def _context(self, call: Call, text: str) -> bytes:
        """Return a context. Raises `Malformed`."""
        return await self._pool.do(call, partial(decode_context, text), slow=len(text) > AT_ONCE)


def _chosen(params: MethodParams, hash_name: str) -> Choice:
    return choose(
        hash_name=hash_name,
        prehashed=params.prehashed,
        scheme=params.signature_algorithm,
        marshaling=params.marshaling_algorithm,
        salt=params.salt_length,
    )


def _asks_macs(params: VerifyParams, items: Sequence[SignItem] | None) -> bool:
    """Tell whether MACs are asked about, and no signatures. Raises `Malformed` for both, and for neither."""
    if items is None:
        if not (params.signature or params.hmac):
            raise Malformed(_NEITHER)
        return not params.signature
    signatures = sum(1 for item in items if item.signature)
    macs = sum(1 for item in items if item.hmac and not item.signature)
    if not signatures and not macs:
        raise Malformed("no batch_input elements have 'signature' or 'hmac'")
    if len(items) not in {signatures, macs}:
        raise Malformed("elements of batch_input must all provide 'signature' or all provide 'hmac'")
    return bool(macs)


def _split_mac(key: OpenKey, text: str) -> tuple[int, str]:
    """Return the version that made a MAC, and the MAC in base64. Raises `Malformed`."""
    try:
        return split_version(key.settings, text, "HMAC")
    except Malformed as error:
        if error.message == TOO_OLD:
            raise Malformed(_MAC_TOO_OLD) from None
        if error.message.endswith("no prefix"):
            raise Malformed("invalid HMAC to verify: no prefix") from None
        raise
