# SPDX-License-Identifier: EUPL-1.2
"""Making a new vault's keys: everything that can be refused is refused before anything is stored."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vault.barrier.key import KEY_BYTES, Key, Random
from vault.barrier.keyring import Keyring
from vault.barrier.view import View
from vault.seal import shamir
from vault.seal.failure import SealRefusal
from vault.seal.pgp import Recipient, UnreadableKey
from vault.seal.record import SHAMIR_SLOT, SealConfig, ShamirSlot, make_shamir_slot
from vault.seal.state import fresh_nonce
from vault.storage.protocol import Tx

_INVALID: Final = "invalid seal configuration: "


@dataclass(frozen=True, slots=True)
class InitRequest:
    """What `sys/init` was asked for. The recovery fields exist only to be refused for this seal."""

    secret_shares: int = 0
    secret_threshold: int = 0
    pgp_keys: Sequence[str] = ()
    root_token_pgp_key: str = ""
    recovery_shares: int = 0
    recovery_threshold: int = 0
    recovery_pgp_keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class InitPlan:
    """A new vault, so far in memory only: show the keys to nobody before the transaction committed."""

    config: SealConfig
    slot: ShamirSlot
    keys: Sequence[str] = field(repr=False)
    """The shares in hexadecimal; where PGP keys were given, hexadecimal of each one's message."""
    keys_base64: Sequence[str] = field(repr=False)
    """The same in base64."""
    pgp_fingerprints: Sequence[str]
    root_key: Key
    keyring: Keyring
    _random: Random = field(repr=False)
    _token_recipient: Recipient | None = field(repr=False)

    def view(self, tx: Tx, namespace_id: str, prefix: str) -> View:
        """Return a view under the new keyring, for what belongs to the initialisation itself."""
        return View(tx, self.keyring, namespace_id, prefix, random=self._random)

    def present_token(self, token: str) -> str:
        """Return the root token as the answer shows it: plain, or base64 of its PGP message."""
        if self._token_recipient is None:
            return token
        return base64.b64encode(self._token_recipient.encrypt(token)).decode()


def check(request: InitRequest, now: int) -> Sequence[Recipient]:
    """Return who gets the shares, at `now` (ms); raises `SealRefusal` with OpenBao's text."""
    recovery = {
        "recovery_shares": request.recovery_shares,
        "recovery_threshold": request.recovery_threshold,
        "recovery_pgp_keys": request.recovery_pgp_keys,
    }
    given = ",".join(name for name, value in recovery.items() if value)
    if given:
        raise SealRefusal(f"parameters {given} not applicable to seal type shamir")
    shares, threshold = request.secret_shares, request.secret_threshold
    for broken, text in (
        (shares < 1, "shares must be at least one"),
        (threshold < 1, "threshold must be at least one"),
        (shares > 1 and threshold == 1, "threshold must be greater than one for multiple shares"),
        (shares > shamir.MAX_SHARES, "shares must be less than 256"),
        (threshold > shamir.MAX_SHARES, "threshold must be less than 256"),
        (threshold > shares, "threshold cannot be larger than shares"),
        (
            bool(request.pgp_keys) and len(request.pgp_keys) != shares,
            "count mismatch between number of provided PGP keys and number of shares",
        ),
    ):
        if broken:
            raise SealRefusal(_INVALID + text)
    try:
        return [Recipient.parse(text, now) for text in request.pgp_keys]
    except UnreadableKey as failure:
        raise SealRefusal(f"{_INVALID}{failure}") from None


def make_plan(request: InitRequest, recipients: Sequence[Recipient], now: int, random: Random) -> InitPlan:
    """Make root key, keyring and shares at `now` (ms), for a request whose `check` gave `recipients`.

    Raises `SealRefusal` when one of the PGP keys cannot encrypt: now, not once the vault exists.
    """
    token_recipient = Recipient.parse(request.root_token_pgp_key, now) if request.root_token_pgp_key else None
    if token_recipient is not None:
        token_recipient.encrypt("")
    root_key, key = Key(random(KEY_BYTES)), Key(random(KEY_BYTES))
    generation = fresh_nonce(random)
    shown = _shown(_shares(key, request, random), recipients)
    return InitPlan(
        config=SealConfig(generation=generation, slots=(SHAMIR_SLOT,), confirmed=False),
        slot=make_shamir_slot(
            root_key,
            key,
            generation=generation,
            shares=request.secret_shares,
            threshold=request.secret_threshold,
            random=random,
        ),
        keys=[data.hex() for data in shown],
        keys_base64=[base64.b64encode(data).decode() for data in shown],
        pgp_fingerprints=[recipient.fingerprint for recipient in recipients],
        root_key=root_key,
        keyring=Keyring.create(now, random),
        _random=random,
        _token_recipient=token_recipient,
    )


def _shares(key: Key, request: InitRequest, random: Random) -> list[bytes]:
    if request.secret_shares == 1:
        return [key.reveal()]
    return shamir.split(key.reveal(), request.secret_shares, request.secret_threshold, random)


def _shown(shares: list[bytes], recipients: Sequence[Recipient]) -> list[bytes]:
    if not recipients:
        return shares
    return [r.encrypt(share.hex()) for r, share in zip(recipients, shares, strict=True)]
