# SPDX-License-Identifier: EUPL-1.2
"""The older unauthenticated paths for new shares and root tokens: `sys/rekey` and `sys/generate-root`.

Off unless a listener offers them, as in OpenBao (SL-72). They share their state with the paths that need a token, so
there is one attempt at a time whichever way it was begun: only answers and words differ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec

from vault.engines.system.seal.generate_root import AttemptParams, RootShareParams, RootTokenEngine
from vault.engines.system.seal.rotate_root import (
    NewShares,
    RootRotationEngine,
    ShareParams,
    ShareRekeyParams,
    VerificationResult,
)
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, UnsupportedOperation, UnsupportedPath
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.route import delete, read, write
from vault.seal.consent.rekey import ShareKind

T = TypeVar("T")

REKEY_PATHS: Final = tuple(
    f"sys/{kind}/{what}" for kind in ("rekey", "rekey-recovery-key") for what in ("init", "update", "verify")
)
"""Full paths of `sys/rekey`."""
ROOT_PATHS: Final = ("sys/generate-root/attempt", "sys/generate-root/update")
"""Full paths of `sys/generate-root`."""
TAKEN: Final = frozenset({Operation.READ, Operation.UPDATE, Operation.DELETE})
"""The operations that these paths take."""
_NO_KEY: Final = "'key' must be specified in request body as JSON"
_NO_NONCE: Final = "none"
_WORDS: Final = (
    ("invalid rotate seal configuration", "invalid rekey seal configuration"),
    ("rotation already finished", "rekey operation already finished"),
    ("rotation already in progress", "rekey already in progress"),
    ("no rotation verification in progress", "no rekey verification in progress"),
    ("no rotation configuration found", "no rekey configuration found"),
    ("nonce for rotation is", "nonce for this rekey operation is"),
    ("when rotating the barrier", "when rekeying the barrier"),
)
_BY_KIND: Final = {
    "root": (
        ("no rotation in progress", "no barrier rekey in progress"),
        ("during this rotation", "during this generation operation"),
    ),
    "recovery": (
        ("no rotation in progress", "no recovery rekey in progress"),
        ("during this rotation", "during this rekey operation"),
        ("existing config", "existing recovery config"),
    ),
}
_QUOTED: Final = (("%!w(*errors.errorString=&{", ""), ("%!w(*vault.ErrInvalidKey=&{", "invalid key: "))
"""Go's formatting faults in OpenBao's messages on these paths, with their beginnings in ours; both end in `})`."""


class RekeyState(msgspec.Struct, frozen=True, kw_only=True):
    """How far making new shares has come."""

    nonce: str
    started: bool
    t: int
    n: int
    progress: int
    required: int
    pgp_fingerprints: list[str] | None
    backup: bool
    verification_required: bool
    verification_nonce: str | msgspec.UnsetType = msgspec.UNSET


class RekeyResult(msgspec.Struct, frozen=True, kw_only=True):
    """The new shares, shown once."""

    nonce: str | msgspec.UnsetType
    complete: bool
    keys: list[str]
    keys_base64: list[str]
    pgp_fingerprints: list[str] | None
    backup: bool
    verification_required: bool
    verification_nonce: str | msgspec.UnsetType


class RekeyVerification(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the new shares were given back."""

    nonce: str
    started: bool
    t: int
    n: int
    progress: int


class RekeyVerificationResult(msgspec.Struct, frozen=True):
    """Enough of the new shares were given back: they count."""

    nonce: str
    complete: bool


class RootAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """How far making a root token has come; the token has two names."""

    nonce: str
    started: bool
    progress: int
    required: int
    complete: bool
    encoded_token: str
    encoded_root_token: str
    pgp_fingerprint: str
    otp: str
    otp_length: int


class RekeyEngine(Engine):
    """New shares. Anybody can begin; it takes the consent of those who hold the old shares."""

    def __init__(self, shares: RootRotationEngine) -> None:
        """`shares` is the engine of `sys/rotate/root`, which does the work."""
        self._shares = shares

    @read("rekey/init", public=True, event="seal.rekey.status")
    @read("rekey-recovery-key/init", public=True, event="seal.rekey.status")
    async def show(self, call: Call) -> Reply[RekeyState]:
        """Show whether new shares are being made."""
        return await self._state(await self._kind(call))

    @write("rekey/init", public=True, writes=False, event="seal.rekey.start")
    @write("rekey-recovery-key/init", public=True, writes=False, event="seal.rekey.start")
    async def begin(self, call: Call, params: ShareRekeyParams) -> Reply[RekeyState] | Reply[RekeyResult]:
        """Begin to make new shares; it takes the consent of those who hold the old ones."""
        kind = await self._kind(call)
        if params.backup and not params.pgp_keys:
            raise Malformed(
                "cannot request a backup of the new keys without providing PGP keys for encryption"
            )
        if params.pgp_keys and len(params.pgp_keys) != params.secret_shares:
            raise Malformed("incorrect number of PGP keys for rekey")
        made = await _reworded_await(kind, self._shares.begin(kind, call, params))
        return _reply(made) if isinstance(made, NewShares) else await self._state(kind)

    @delete("rekey/init", public=True, writes=False, event="seal.rekey.cancel")
    @delete("rekey-recovery-key/init", public=True, writes=False, event="seal.rekey.cancel")
    async def cancel(self, call: Call) -> None:
        """Give it up."""
        self._shares.cancel(await self._kind(call))

    @read("rekey/update", public=True, event="seal.rekey.status")
    @read("rekey-recovery-key/update", public=True, event="seal.rekey.status")
    @delete("rekey/update", public=True, writes=False, event="seal.rekey.cancel")
    @delete("rekey-recovery-key/update", public=True, writes=False, event="seal.rekey.cancel")
    async def ask_for_share(self, call: Call) -> None:
        """Refuse: a share is missing."""
        _check_offered(call)
        raise Malformed(_NO_KEY)

    @write("rekey/update", public=True, writes=False, event="seal.rekey.share")
    @write("rekey-recovery-key/update", public=True, writes=False, event="seal.rekey.share")
    async def submit(self, call: Call, params: ShareParams) -> Reply[RekeyState] | Reply[RekeyResult]:
        """Give one of the old shares, as consent; the last one is answered with the new shares."""
        _check_offered(call)
        if not params.key:
            raise Malformed(_NO_KEY)
        kind = _share_kind(call)
        given = msgspec.structs.replace(params, nonce=params.nonce or _NO_NONCE)
        made = await _reworded_await(kind, self._shares.submit(kind, call, given))
        return _reply(made) if isinstance(made, NewShares) else await self._state(kind)

    @read("rekey/verify", public=True, event="seal.rekey.status")
    @read("rekey-recovery-key/verify", public=True, event="seal.rekey.status")
    async def show_verification(self, call: Call) -> Reply[RekeyVerification]:
        """Show how many of the new shares were given back."""
        return self._verification(await self._kind(call))

    @write("rekey/verify", public=True, writes=False, event="seal.rekey.verify")
    @write("rekey-recovery-key/verify", public=True, writes=False, event="seal.rekey.verify")
    async def verify(
        self, call: Call, params: ShareParams
    ) -> Reply[RekeyVerification] | Reply[RekeyVerificationResult]:
        """Give back one of the new shares; with enough of them they count, and the old ones no longer do."""
        kind = await self._kind(call)
        if not params.key:
            raise Malformed(_NO_KEY)
        if not self._shares.state(kind).nonce:
            raise Malformed("no rekey in progress")
        given = msgspec.structs.replace(params, nonce=params.nonce or _NO_NONCE)
        if isinstance(
            await _reworded_await(kind, self._shares.verify(kind, call, given)), VerificationResult
        ):
            return Reply(RekeyVerificationResult(params.nonce, complete=True), plain=True)
        return self._verification(kind)

    @delete("rekey/verify", public=True, writes=False, event="seal.rekey.cancel")
    @delete("rekey-recovery-key/verify", public=True, writes=False, event="seal.rekey.cancel")
    async def restart_verification(self, call: Call) -> Reply[RekeyVerification]:
        """Begin to verify anew."""
        kind = await self._kind(call)
        with _reword(kind):
            self._shares.restart(kind)
        return self._verification(kind)

    async def _kind(self, call: Call) -> ShareKind:
        """Return the kind of shares that a call is about. Raises `Malformed` where there can be none."""
        _check_offered(call)
        kind = _share_kind(call)
        if kind == "recovery" and not await self._shares.recoverable():
            raise Malformed("recovery rekeying not supported")
        return kind

    async def _state(self, kind: ShareKind) -> Reply[RekeyState]:
        state = self._shares.state(kind)
        split = kind == "recovery" or not await self._shares.recoverable()
        shown = RekeyState(
            nonce=state.nonce,
            started=bool(state.nonce),
            t=state.threshold if split else 0,
            n=state.shares if split else 0,
            progress=len(state.given),
            required=await self._shares.required(kind),
            pgp_fingerprints=list(state.fingerprints) or None,
            backup=state.backup,
            verification_required=state.verify,
            verification_nonce=state.verification_nonce or msgspec.UNSET,
        )
        return Reply(shown, plain=True)

    def _verification(self, kind: ShareKind) -> Reply[RekeyVerification]:
        state = self._shares.state(kind)
        if not state.nonce:
            raise Malformed("no rekey configuration found")
        shown = RekeyVerification(
            nonce=state.verification_nonce,
            started=state.made is not None,
            t=state.threshold,
            n=state.shares,
            progress=len(state.returned),
        )
        return Reply(shown, plain=True)


class RootEngine(Engine):
    """Root tokens. Anybody can begin; it takes the consent of the share holders."""

    def __init__(self, tokens: RootTokenEngine) -> None:
        """`tokens` is the engine of `sys/generate-root-token`, which does the work."""
        self._tokens = tokens

    @read("generate-root/attempt", public=True, event="seal.root_token.status")
    async def show_attempt(self, call: Call) -> Reply[RootAttempt]:
        """Show whether a root token is being made."""
        _check_offered(call)
        return _attempt(msgspec.to_builtins(await self._tokens.read_attempt(call)))

    @write("generate-root/attempt", public=True, writes=False, event="seal.root_token.start")
    async def begin_attempt(self, call: Call, params: AttemptParams) -> Reply[RootAttempt]:
        """Begin to make a root token; it takes the consent of the share holders."""
        _check_offered(call)
        return _attempt(msgspec.to_builtins(await self._tokens.begin(call, params)))

    @delete("generate-root/attempt", public=True, writes=False, event="seal.root_token.cancel")
    async def cancel_attempt(self, call: Call) -> None:
        """Give it up."""
        _check_offered(call)
        await self._tokens.cancel(call)

    @read("generate-root/update", public=True, event="seal.root_token.status")
    @delete("generate-root/update", public=True, writes=False, event="seal.root_token.cancel")
    async def ask_for_consent(self, call: Call) -> None:
        """Refuse: a share is missing."""
        _check_offered(call)
        raise Malformed(_NO_KEY)

    @write("generate-root/update", public=True, writes=False, event="seal.root_token.share")
    async def give_consent(self, call: Call, params: RootShareParams) -> Reply[RootAttempt]:
        """Give one share, as consent; the last one is answered with the hidden token."""
        _check_offered(call)
        if not params.key:
            raise Malformed(_NO_KEY)
        given = msgspec.structs.replace(params, nonce=params.nonce or _NO_NONCE)
        try:
            return _attempt(msgspec.to_builtins(await self._tokens.submit(call, given)))
        except Malformed as refusal:
            raise Malformed(refusal.message) from None


def _check_offered(call: Call) -> None:
    """Refuse every caller on a listener that does not offer this."""
    if not call.options.offered:
        none = UnsupportedPath if _share_kind(call) == "recovery" else UnsupportedOperation
        raise none(chained=False)


def _share_kind(call: Call) -> ShareKind:
    return "recovery" if call.path.startswith("sys/rekey-recovery-key/") else "root"


def _reply(made: NewShares) -> Reply[RekeyResult]:
    shown = RekeyResult(
        nonce=made.nonce,
        complete=True,
        keys=made.keys,
        keys_base64=made.keys_base64,
        pgp_fingerprints=made.pgp_fingerprints,
        backup=made.backup,
        verification_required=made.verification_required,
        verification_nonce=made.verification_nonce or msgspec.UNSET,
    )
    return Reply(shown, plain=True)


def _attempt(state: dict[str, object]) -> Reply[RootAttempt]:
    """Return an attempt with every member: unknown ones are empty here, not absent."""
    usual = dict.fromkeys(("nonce", "encoded_token", "pgp_fingerprint", "otp"), "")
    token = {"encoded_root_token": state.get("encoded_token", "")}
    filled = {**usual, "otp_length": 0, **state, **token}
    return Reply(msgspec.convert(filled, RootAttempt), plain=True)


async def _reworded_await(kind: ShareKind, work: Awaitable[T]) -> T:
    with _reword(kind):
        return await work


@contextmanager
def _reword(kind: ShareKind) -> Iterator[None]:
    """Reword a refusal for these paths, where OpenBao speaks of rekeying."""
    try:
        yield
    except Malformed as refusal:
        text = refusal.message
        for old, new in (*_WORDS, *_BY_KIND[kind]):
            text = text.replace(old, new)
        for begin, meant in _QUOTED:
            if begin in text:
                text = text.replace(begin, meant).removesuffix("})")
        raise Malformed(text) from None
