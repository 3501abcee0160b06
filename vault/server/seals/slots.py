# SPDX-License-Identifier: EUPL-1.2
"""The key slots that the configuration asks for. Making one touches no device, so a dead token stops no server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hsm.client.entropy import MixedEntropy, Policy
from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.errors import BadConfig, HsmError
from hsm.key_slot import KeySlot
from vault.barrier.key import Key
from vault.framework.clock import Entropy
from vault.framework.secret import Secret
from vault.framework.telemetry.log import Log
from vault.seal.records.record import SHAMIR_SLOT
from vault.seal.records.slots import Slots
from vault.seal.static_slot import StaticSlot, parse_key
from vault.server.config.seal_settings import HsmPolicy, SealSettings, StaticSeal
from vault.server.config.settings import Config
from vault.server.failure import StartFailure

_LARGEST_BYTES: Final = 4096


def make_slots(config: Config, entropy: Entropy, environment: Mapping[str, str] = os.environ) -> Slots:
    """Make the slots of `config`. Raises `StartFailure` for a static key that cannot be read."""
    shown = agents_environment(config, environment)
    made = [
        (seal, _slot(seal, entropy, environment, shown)) for seal in config.seals if seal.kind != SHAMIR_SLOT
    ]
    tokens = [slot for seal, slot in made if isinstance(slot, Pkcs11Slot) and not seal.disabled]
    shamir = next((seal for seal in config.seals if seal.kind == SHAMIR_SLOT), None)
    mixed = _mixed(config.hsm, tokens, entropy)
    return Slots(
        enabled=[slot for seal, slot in made if not seal.disabled],
        disabled=[slot for seal, slot in made if seal.disabled],
        shamir=shamir.name if shamir is not None else SHAMIR_SLOT,
        shamir_kept=shamir is not None and bool(made),
        recovery_can_unseal=config.hsm.recovery_can_unseal,
        draw=mixed.random if mixed is not None else None,
        fallbacks=(lambda: mixed.fallbacks) if mixed is not None else int,
    )


def new_slots(
    config: Config, known: Slots, entropy: Entropy, environment: Mapping[str, str] = os.environ
) -> list[KeySlot]:
    """Make the slots of `config` that are not `known`; those are as they were at the start. Raises `StartFailure`."""
    shown = agents_environment(config, environment)
    return [
        _slot(seal, entropy, environment, shown)
        for seal in config.seals
        if seal.kind != SHAMIR_SLOT and not seal.disabled and known.get(seal.name) is None
    ]


def told_of_stanzas(config: Config, known: Slots, members: Sequence[str], log: Log) -> None:
    """Tell which of the `known` slots `config` takes away at the next start, and where that opens the vault by none.

    `members` are the vault's key slots.
    """
    enabled = {seal.name for seal in config.seals if seal.kind != SHAMIR_SLOT and not seal.disabled}
    for slot in known.enabled:
        if slot.name not in enabled:
            log.caution(
                "seal",
                "a seal stanza that is gone or disabled now counts until the next start",
                slot=slot.name,
            )
    if members and enabled.isdisjoint(members):
        log.caution(
            "seal",
            "no enabled seal stanza has the name of a key slot of this vault: it does not open by itself so",
            slot=", ".join(members),
        )


def agents_environment(config: Config, environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` without what any seal's secret is in: a slot's agent is not to see another slot's."""
    hidden: set[str] = set()
    for seal in config.seals:
        if seal.pkcs11 is not None:
            hidden.update(seal.pkcs11.pin.hidden_variables)
        if seal.static is not None:
            for source in (seal.static.current_key, seal.static.previous_key):
                hidden.add(source.reveal().removeprefix("env://"))
    return {name: value for name, value in environment.items() if name not in hidden}


def _mixed(policy: HsmPolicy, tokens: Sequence[Pkcs11Slot], entropy: Entropy) -> MixedEntropy | None:
    """Return what gives randomness with a token's part in it, unless that is off or there is no token."""
    if policy.entropy == "off" or not tokens:
        return None

    async def first(size: int) -> bytes:
        for token in tokens[:-1]:
            with contextlib.suppress(HsmError):
                return await token.random(size)
        return await tokens[-1].random(size)

    wanted: Policy = "require" if policy.entropy == "require" else "prefer"
    return MixedEntropy(entropy.bytes, first, policy=wanted)


def _slot(
    seal: SealSettings, entropy: Entropy, environment: Mapping[str, str], shown: Mapping[str, str]
) -> KeySlot:
    if seal.pkcs11 is not None:
        return Pkcs11Slot(
            seal.pkcs11, environment=shown, chance=lambda: int.from_bytes(entropy.bytes(6)) / (1 << 48)
        )
    assert seal.static is not None
    try:
        return _static(seal.static, entropy, environment)
    except BadConfig as failure:
        raise StartFailure(str(failure)) from None


def _static(seal: StaticSeal, entropy: Entropy, environment: Mapping[str, str]) -> StaticSlot:
    previous = None
    if seal.previous_key:
        key = _key("previous_key", seal.previous_key, environment)
        previous = (seal.previous_key_id, key)
    current = _key("current_key", seal.current_key, environment)
    return StaticSlot(seal.name, seal.current_key_id, current, previous=previous, random=entropy.bytes)


def _key(field: str, source: Secret, environment: Mapping[str, str]) -> Key:
    """Read a static key from where `source` says, or from itself."""
    text = source.reveal()
    if text.startswith("env://"):
        name = text.removeprefix("env://")
        if not environment.get(name):
            raise BadConfig(f'seal "static": {field}: the environment variable {name} is not set')
        return parse_key(field, os.fsencode(environment[name]))
    if not text.startswith("file://"):
        return parse_key(field, text.encode())
    path = Path(text.removeprefix("file://"))
    try:
        with path.open("rb") as opened:
            return parse_key(field, opened.read(_LARGEST_BYTES))
    except OSError as error:
        raise BadConfig(f'seal "static": {field}: {path} cannot be read: {error.strerror}') from None
