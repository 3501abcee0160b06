# SPDX-License-Identifier: EUPL-1.2
"""What else the server itself has keys for: hashes of tokens, wrapping tokens, the safe, the log, audit devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

from vault.audit.broker import Broker
from vault.audit.salts import salt_made
from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView
from vault.engines.system.crypto.barrier_keys import BITS, CIPHER
from vault.framework.keys.inventory import KeyState, KeyUse, Purpose
from vault.framework.keys.key_versions import NumberedKeys
from vault.framework.keys.safe import Safe
from vault.log.common_log import CommonLog
from vault.log.keys import keys_made, read_keys
from vault.values.times import Millis
from vault.wrap.signing_key import SigningKeys

T = TypeVar("T")
_HASH = "hmac-sha-256"
_SLOTS = "memory while unsealed; storage, under the barrier, and each key slot there is"
_BARRIER = "memory while unsealed; storage, under the barrier"


async def token_keys(barrier: Barrier) -> Sequence[KeyUse]:
    """Describe the key by which tokens and accessors are found. It is as old as the vault."""
    first = barrier.keyring.terms.get(1)
    use = KeyUse(
        name="hash",
        purpose=Purpose.TOKEN_HASH,
        protects="tokens and accessors: storage has their hashes alone",
        algorithm=_HASH,
        bits=BITS,
        location=_BARRIER,
        created=first.install_time if first is not None else Millis(0),
    )
    return [use]


async def safe_keys(safe: Safe) -> Sequence[KeyUse]:
    """Describe the keys that private keys of engines lie under."""
    one = KeyUse(
        name="",
        purpose=Purpose.SAFE,
        protects="private keys that engines keep here",
        algorithm=CIPHER,
        bits=BITS,
        location=_SLOTS,
    )
    return await _numbered(safe.keys, one)


async def wrapping_keys(signing: SigningKeys) -> Sequence[KeyUse]:
    """Describe the keys that sign wrapping tokens."""
    one = KeyUse(
        name="",
        purpose=Purpose.WRAPPING_TOKEN,
        protects="wrapping tokens: their signature",
        algorithm="ecdsa-p521-sha512",
        bits=521,
        location=_SLOTS,
    )
    return await _numbered(signing, one)


async def log_keys(core: ReadView, common: CommonLog | None, hsm_key: str) -> Sequence[KeyUse]:
    """Describe what hashes values in the log and what signs its checkpoints; `hsm_key` names the one in an HSM, if any."""
    keys = await read_keys(core) if common is not None else None
    if keys is None or common is None:
        return []
    found = [
        _log_hash(name, await keys_made(core, name), active=name == keys.current) for name in keys.hashing
    ]
    found.append(
        KeyUse(
            name="signature",
            purpose=Purpose.LOG_SIGNATURE,
            protects="the log: its checkpoints",
            algorithm="ed25519",
            bits=256,
            location=_BARRIER,
            created=await keys_made(core),
        )
    )
    state = common.checkpoints.hsm_state(common.id)
    if state is not None:
        found.append(
            KeyUse(
                name="signature-hsm",
                purpose=Purpose.LOG_SIGNATURE,
                protects="the log: its checkpoints, beside the key in software",
                algorithm="ecdsa-p256-sha256",
                bits=256,
                location=f"external key {hsm_key}",
                in_hsm=True,
                state=KeyState.UNREACHABLE if state.trouble else KeyState.ACTIVE,
            )
        )
    return found


async def audit_keys(core: ReadView, broker: Broker) -> Sequence[KeyUse]:
    """Describe the key that each audit device hashes values with."""
    return [
        KeyUse(
            name=device.path.rstrip("/"),
            purpose=Purpose.AUDIT_HASH,
            protects="values in the records of an audit device",
            algorithm=_HASH,
            bits=BITS,
            location=_SLOTS,
            created=await salt_made(core, device.path),
        )
        for device in broker.devices
    ]


def _log_hash(name: str, made: Millis, *, active: bool) -> KeyUse:
    return KeyUse(
        name=f"hash/{name}",
        purpose=Purpose.LOG_HASH,
        protects="values in the log; cursors of searches, by a key that is derived from it",
        algorithm=_HASH,
        bits=BITS,
        location=_BARRIER,
        version=name,
        created=made,
        state=KeyState.ACTIVE if active else KeyState.RETIRED,
    )


async def _numbered(keys: NumberedKeys[T], one: KeyUse) -> Sequence[KeyUse]:
    """Describe keys that are like `one`, by their numbers; the newest that opens is the one in use."""
    newest = max(keys.known, default=0)
    states = {number: KeyState.ACTIVE if number == newest else KeyState.RETIRED for number in keys.known}
    states |= {number: KeyState.UNREACHABLE for number in keys.unopened if number}
    return [
        replace(
            one,
            name=f"{number:010}",
            version=str(number),
            state=state,
            **_since(await keys.made(number), number),
        )
        for number, state in states.items()
    ]


def _since(made: Millis, number: int) -> dict[str, Millis]:
    """Return what is known of the time of a numbered key: each but the first took the place of one before."""
    return {"created": made, "rotated": made if number > 1 else Millis(0)}
