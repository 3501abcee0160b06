# SPDX-License-Identifier: EUPL-1.2
"""New shares, with the consent of those who hold the old ones: `sys/rotate/root`, `sys/rotate/recovery`.

What happens at its end depends on what the shares are for. Unseal shares get a new unseal key and a new root
key; recovery shares a new recovery key; and where key slots unseal, consenting to `root` renews the root key
alone. With a verification the old shares stay until enough of the new ones were given back.

New shares count only once the answer that shows them is recorded, by `RekeyShares.apply`: were that to fail after they
counted, they would be lost. Until then the old ones can be given again.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Literal

from vault.barrier.key import KEY_BYTES, Key, Random
from vault.seal.consent.share_holders import ShareHolders
from vault.seal.failure import SealRefusal
from vault.seal.init import ShownShares, check_shares, recipients, split
from vault.seal.lifecycle import WRONG_RECOVERY_KEY
from vault.seal.shares.pgp import Recipient
from vault.seal.shares.progress import fresh_nonce, parse_share
from vault.seal.shares.shamir import CombineFailure, combine
from vault.values.times import Millis

ShareKind = Literal["root", "recovery"]

_NONE: Final = "no rotation in progress"
_NO_RECOVERY: Final = "recovery not supported"


def quoted(text: str) -> str:
    """Return an error as OpenBao prints one inside another here, where its formatting fails."""
    return f"%!w(*errors.errorString=&{{{text}}})"


@dataclass(frozen=True, slots=True)
class RekeyRequest:
    """What was asked for at the beginning."""

    shares: int = 0
    threshold: int = 0
    pgp_keys: Sequence[str] = ()
    backup: bool = False
    verify: bool = False


@dataclass(frozen=True, slots=True)
class RekeyProgress:
    """How far a rekey has come; `nonce` is empty when there is none."""

    nonce: str = ""
    shares: int = 0
    threshold: int = 0
    fingerprints: Sequence[str] = ()
    backup: bool = False
    verify: bool = False
    given: tuple[bytes, ...] = field(default=(), repr=False)
    made: Key | None = None
    """The new key, once the old shares were given and while the new ones are to be shown back."""
    verification_nonce: str = ""
    returned: tuple[bytes, ...] = field(default=(), repr=False)


Apply = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Make nothing count yet."""


@dataclass(frozen=True, slots=True)
class RekeyShares:
    """The end of the first part: the new shares, to be shown once."""

    state: RekeyProgress
    shown: ShownShares
    apply: Apply
    """What makes them count: to be awaited once the answer is recorded, and before it leaves."""


class Rekey:
    """At most one at a time of its kind; forgotten when what the shares are of is sealed."""

    def __init__(self, kind: ShareKind, holders: ShareHolders, random: Random) -> None:
        """`random` gives entropy."""
        self._kind = kind
        self._holders = holders
        self._random = random
        self._to: Sequence[Recipient] = ()
        self._lock = asyncio.Lock()
        self.state = RekeyProgress()
        holders.on_seal(self.cancel)

    async def required(self) -> int:
        """Return how many old shares it takes; raises `SealRefusal` where there is nothing of the kind."""
        if self._kind == "recovery" and not await self._holders.opens_itself():
            raise SealRefusal(f"unable to look up config: {quoted(_NO_RECOVERY)}")
        return await self._holders.required()

    async def begin(self, request: RekeyRequest, now: Millis) -> RekeyShares | None:
        """Begin, at `now` (ms). Where nobody holds a share yet, the first ones are made at once."""
        async with self._lock:
            return await self._begin(request, now)

    async def _begin(self, request: RekeyRequest, now: Millis) -> RekeyShares | None:
        automatic = await self._holders.opens_itself()
        if self._kind == "recovery" and not automatic:
            raise SealRefusal("recovery keys not supported")
        if self._kind == "root" and automatic:
            _check_stored(request)
            request = replace(request, shares=1, threshold=1, pgp_keys=())
        if self.state.nonce:
            raise SealRefusal("rotation already in progress")
        to = self._check(request, now)
        self._to = to
        self.state = RekeyProgress(
            nonce=fresh_nonce(self._random),
            shares=request.shares,
            threshold=request.threshold,
            fingerprints=[recipient.fingerprint for recipient in to],
            backup=request.backup and bool(to),
            verify=request.verify,
        )
        if self._kind == "recovery" and await self.required() < 1:
            return await self._finish(self.state)
        return None

    def cancel(self) -> None:
        """Forget it, with everything that was given."""
        self.state = RekeyProgress()
        self._to = ()

    async def submit(self, key: str, nonce: str) -> RekeyShares | None:
        """Take one of the old shares; with enough of them, return the new ones."""
        share = _share(key, nonce)
        async with self._lock:
            return await self._submit(share, nonce)

    async def _submit(self, share: bytes, nonce: str) -> RekeyShares | None:
        if self._kind == "recovery" and not await self._holders.opens_itself():
            raise SealRefusal(f"failed to fetch existing config: {quoted(_NO_RECOVERY)}")
        state = self.state
        if not state.nonce:
            raise SealRefusal(_NONE)
        if state.made is not None:
            raise SealRefusal(
                "rotation already finished; verification must be performed; nonce for the verification "
                f'operation is "{state.verification_nonce}"'
            )
        if nonce != state.nonce:
            raise SealRefusal(f'incorrect nonce supplied; nonce for rotation is "{state.nonce}"')
        if any(hmac.compare_digest(share, other) for other in state.given):
            raise SealRefusal("given key has already been provided during this rotation")
        self.state = state = replace(state, given=(*state.given, share))
        if len(state.given) < await self._holders.required():
            return None
        self.state = replace(state, given=())
        await self._consent(_combined(state.given, "failed to compute key: "))
        return await self._finish(state)

    async def give_back(self, key: str, nonce: str) -> Apply | None:
        """Take one of the new shares; with enough of them, return what makes them count."""
        share = _share(key, nonce)
        async with self._lock:
            return await self._give_back(share, nonce)

    async def _give_back(self, share: bytes, nonce: str) -> Apply | None:
        state = self.state
        if not state.nonce:
            raise SealRefusal(_NONE)
        made = state.made
        if made is None:
            raise SealRefusal("no rotation verification in progress")
        if nonce != state.verification_nonce:
            raise SealRefusal(
                f'incorrect nonce supplied; nonce for this verify operation is "{state.verification_nonce}"'
            )
        self.state = state = replace(state, returned=(*state.returned, share))
        if len(state.returned) < state.threshold:
            return None
        self.restart_verification()
        given = _combined(state.returned, "failed to compute key for verification: ")
        if not hmac.compare_digest(given, made.reveal()):
            raise SealRefusal("rotation verification failed; incorrect key shares supplied")
        return partial(self._apply, made, state)

    def restart_verification(self) -> None:
        """Forget the new shares that were given back so far. Raises `SealRefusal` when there is no rekey."""
        if not self.state.nonce:
            raise SealRefusal("no rotation configuration found")
        self.state = replace(self.state, verification_nonce=fresh_nonce(self._random), returned=())

    def _check(self, request: RekeyRequest, now: Millis) -> Sequence[Recipient]:
        what = "recovery" if self._kind == "recovery" else "rotate seal"
        try:
            check_shares(request.shares, request.threshold, "")
            return recipients(request.pgp_keys, request.shares, now, "")
        except SealRefusal as refusal:
            raise SealRefusal(f"invalid {what} configuration: {quoted(str(refusal))}") from None

    async def _consent(self, key: bytes) -> None:
        """Raise `SealRefusal` unless the old shares are the right ones."""
        if await self._holders.accepts_key(key):
            return
        if await self._holders.opens_itself():
            raise SealRefusal(f"recovery key verification failed: {WRONG_RECOVERY_KEY}")
        raise SealRefusal(
            "failed to read root key: %!w(*vault.ErrInvalidKey=&{failed to decrypt keys from storage: cipher: "
            "message authentication failed})"
        )

    async def _finish(self, state: RekeyProgress) -> RekeyShares:
        """Make the new key and split it."""
        if self._kind == "root" and await self._holders.opens_itself():
            return RekeyShares(state, ShownShares(), partial(self._apply, None, state))
        random = await self._holders.source()
        made = Key(random(KEY_BYTES))
        if self.state.nonce != state.nonce:
            raise SealRefusal(_NONE)  # given up, or sealed, while a device was asked
        shown = split(made, state.shares, state.threshold, self._to, random)
        if state.verify:
            state = replace(state, made=made, given=(), verification_nonce=fresh_nonce(self._random))
            self.state = state
            return RekeyShares(state, shown, nothing)
        return RekeyShares(state, shown, partial(self._apply, made, state))

    async def _apply(self, made: Key | None, state: RekeyProgress) -> None:
        """Let the new key count, of which people hold shares; without one only the root key is replaced."""
        async with self._lock:
            if self.state.nonce != state.nonce:
                raise SealRefusal(_NONE)
            if made is None:
                await self._holders.renew_root()
            else:
                await self._holders.replace(made, state.shares, state.threshold, root=self._kind == "root")
            self.cancel()


def _check_stored(request: RekeyRequest) -> None:
    for asked, text in (
        (request.backup, "key backup not supported when using stored keys"),
        (bool(request.pgp_keys), "PGP key encryption not supported when using stored keys"),
        (
            request.verify,
            "requiring verification not supported when rotating the barrier key with recovery keys",
        ),
    ):
        if asked:
            raise SealRefusal(text)


def _share(key: str, nonce: str) -> bytes:
    for name, value in (("key", key), ("nonce", nonce)):
        if not value:
            raise SealRefusal(f"missing required field '{name}'")
    return parse_share(key)


def _combined(shares: tuple[bytes, ...], prefix: str) -> bytes:
    try:
        return shares[0] if len(shares) == 1 else combine(shares)
    except CombineFailure as failure:
        raise SealRefusal(prefix + quoted(str(failure))) from None
