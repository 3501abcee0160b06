# SPDX-License-Identifier: EUPL-1.2
"""`sys/generate-root-token`: a new root token, with the consent of the share holders, and `sys/decode-token`.

It works for the namespace of the call: the root namespace, or one with a seal of its own.
1. An operator begins an attempt with a pad or a PGP key, which hides the new token from everybody else.
2. Share holders give their shares, as consent.
3. The last share is answered with the hidden token.
4. The operator decodes it with the pad or the PGP key.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Annotated

import msgspec

from hsm.errors import HsmError
from vault.barrier.barrier import Barrier
from vault.barrier.view import core_prefix
from vault.engines.system.seal.errors import confirm_facts, seal_errors, with_seal_errors
from vault.framework.call import ROOT, Call, Namespace
from vault.framework.clock import Clock, Entropy
from vault.framework.engine import Engine
from vault.framework.errors import Failed, Malformed
from vault.framework.fields import Doc
from vault.framework.route import Params, delete, read, write
from vault.framework.telemetry.log import Log
from vault.namespace.consents import EveryConsent
from vault.namespace.ids import bound
from vault.seal.consent.generate_root import Attempt, RootGeneration
from vault.seal.failure import SealFailure, SealRefusal
from vault.token.model import PREFIX, TOKEN_LENGTH, TokenEntry
from vault.token.store import TokenStore
from vault.values.encoding import NotBase64, from_base64


class AttemptParams(Params, frozen=True):
    """How the token is hidden from everybody but the operator who began."""

    otp: Annotated[str, Doc("One-time pad as long as a token; made where neither it nor a key is given.")] = (
        ""
    )
    pgp_key: Annotated[str, Doc("PGP public key to encrypt the token to.")] = ""


class RootShareParams(Params, frozen=True):
    """One share."""

    key: Annotated[str, Doc("One share, in hexadecimal or base64.")] = ""
    nonce: Annotated[str, Doc("Nonce of the attempt.")] = ""


class DecodeParams(Params, frozen=True):
    """A hidden token and its pad."""

    encoded_token: Annotated[str, Doc("The hidden token, as the last step answered it.")] = ""
    otp: Annotated[str, Doc("The pad that hides it.")] = ""


class AttemptState(msgspec.Struct, frozen=True, kw_only=True):
    """How far an attempt has come."""

    started: bool
    complete: bool
    progress: int
    required: int
    otp: str | msgspec.UnsetType = msgspec.UNSET
    """The pad, shown once to the operator who began."""
    otp_length: int | msgspec.UnsetType = msgspec.UNSET
    nonce: str | msgspec.UnsetType = msgspec.UNSET
    pgp_fingerprint: str | msgspec.UnsetType = msgspec.UNSET
    encoded_token: str | msgspec.UnsetType = msgspec.UNSET


class DecodedToken(msgspec.Struct, frozen=True):
    """The token in the clear."""

    token: str


class RootTokenEngine(Engine):
    """New root tokens, for a vault whose operators keep none."""

    def __init__(
        self,
        consents: EveryConsent,
        tokens: TokenStore,
        barrier: Barrier,
        clock: Clock,
        entropy: Entropy,
        log: Log,
    ) -> None:
        self._consents = consents
        self._tokens = tokens
        self._barrier = barrier
        self._clock = clock
        self._entropy = entropy
        self._log = log

    @read("generate-root-token/attempt", event="seal.root_token.status")
    async def read_attempt(self, call: Call) -> AttemptState:
        """Show whether a root token is being made."""
        return await self._state(call.namespace, "")

    @write("generate-root-token/attempt", writes=False, event="seal.root_token.start")
    async def begin(self, call: Call, params: AttemptParams) -> AttemptState:
        """Begin to make a root token; it takes the consent of the share holders."""
        # 1. The pad is made here unless the operator brings a pad or a PGP key.
        await confirm_facts(call)
        length = _length(call.namespace)
        made = "" if params.otp or params.pgp_key else self._entropy.base62(length)
        with_pad = params.otp or made
        with seal_errors():
            consent = self._of(call.namespace)
            consent.begin(with_pad, params.pgp_key, self._clock.millis(), length=length)
        return await self._state(call.namespace, made)

    @delete("generate-root-token/attempt", writes=False, event="seal.root_token.cancel")
    async def cancel(self, call: Call) -> None:
        """Cancel the attempt."""
        with contextlib.suppress(SealRefusal):
            self._of(call.namespace).cancel()

    @write("generate-root-token/update", writes=False, event="seal.root_token.share")
    async def submit(self, call: Call, params: RootShareParams) -> AttemptState:
        """Give one share, as consent; the last one is answered with the hidden token."""
        for name, value in (("nonce", params.nonce), ("key", params.key)):
            if not value:
                raise Malformed(f"{name} is required")
        await confirm_facts(call)
        # 2. Take a share, as consent.
        try:
            consent = self._of(call.namespace)
            done = await consent.submit(params.key, params.nonce)
        except SealRefusal as refusal:
            raise Malformed(str(refusal), chained=True) from None
        except (SealFailure, HsmError) as failure:
            raise Failed(str(failure), chained=False) from None
        required = await with_seal_errors(consent.required())
        attempt = done or consent.attempt
        # 3. After the last share the answer holds the hidden token.
        return AttemptState(
            started=True,
            complete=done is not None,
            progress=len(attempt.given),
            required=required,
            nonce=attempt.nonce,
            pgp_fingerprint=attempt.fingerprint,
            encoded_token=self._prepare(call, done) if done is not None else "",
        )

    @write("decode-token", public=True, writes=False, event="seal.root_token.decode")
    async def decode(self, call: Call, params: DecodeParams) -> DecodedToken:
        """Decode a hidden token with its pad."""
        # 4. The pad, which only the operator has, gives the token.
        del call
        if not params.encoded_token or not params.otp:
            raise Malformed("provided 'encoded_token' or 'otp' is empty")
        text = params.encoded_token
        try:
            hidden = from_base64(text + "=" * (-len(text) % 4))
        except NotBase64 as failure:
            raise Malformed(f"error decoding base64'd token: {failure}") from None
        pad = params.otp.encode()
        if len(hidden) != len(pad):
            raise Malformed(
                f"error xoring token: length of byte slices is not equivalent: {len(hidden)} != {len(pad)}"
            )
        return DecodedToken(bytes(a ^ b for a, b in zip(hidden, pad, strict=True)).decode(errors="replace"))

    def _of(self, namespace: Namespace) -> RootGeneration:
        """Return the consent that an attempt needs. Raises `SealRefusal`."""
        return self._consents.of(namespace).root_token

    def _prepare(self, call: Call, attempt: Attempt) -> str:
        """Return a token for the answer. It is stored after the answer is recorded, and before the answer leaves."""
        token = self._tokens.new_token(call.namespace)
        call.after = partial(self._make, call.namespace, token)
        return attempt.present(token)

    async def _make(self, namespace: Namespace, token: str) -> None:
        inner = namespace.id != ROOT.id
        entry = TokenEntry(
            accessor=self._tokens.new_accessor(namespace),
            policies=("root",),
            path=f"{self._consents.of(namespace).place}auth/token/root",
            display_name=f"{namespace.id}_root" if inner else "root",
            created=self._clock.nanos(),
            orphan=True,
            leased=False,
        )
        async with self._barrier.write(namespace.id, core_prefix(namespace.id)) as core:
            await self._tokens.create(core, token, entry)
        self._log.caution(
            "core",
            "a root token was made, with the consent of those who hold shares",
            namespace_id=namespace.id,
        )

    async def _state(self, namespace: Namespace, pad: str) -> AttemptState:
        with seal_errors():
            consent = self._of(namespace)
        required = await with_seal_errors(consent.required())
        attempt = consent.attempt
        begun = bool(attempt.nonce)
        return AttemptState(
            started=begun,
            complete=False,
            progress=len(attempt.given),
            required=required,
            otp=pad,
            otp_length=_length(namespace),
            nonce=attempt.nonce if begun else msgspec.UNSET,
            pgp_fingerprint=attempt.fingerprint if begun else msgspec.UNSET,
        )


def _length(namespace: Namespace) -> int:
    """Return the length of a namespace's root token, and so of the pad that hides it."""
    return len(bound(PREFIX + "x" * TOKEN_LENGTH, namespace))
