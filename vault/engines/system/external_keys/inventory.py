# SPDX-License-Identifier: EUPL-1.2
"""External keys, as the crypto inventory has them: what their configs say. No device is asked, and no PIN is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from vault.barrier.view import ReadView
from vault.engines.system.external_keys import store
from vault.engines.system.external_keys.store import ExternalKeyConfig, ExternalKeyEntry
from vault.framework.fields import Json
from vault.framework.keys.inventory import KeyUse, Purpose

_TOKEN: Final = ("token_label", "serial", "slot")
_KEY: Final = ("label", "id")


async def external_keys(core: ReadView) -> Sequence[KeyUse]:
    """Describe each external key of a namespace, given its own data."""
    found = []
    for name in await core.list(store.CONFIGS):
        config = await store.load_config(core, name)
        if config is None:
            continue
        for key in await core.list(store.keys_of(name)):
            entry = await store.load_key(core, name, key)
            if entry is not None:
                found.append(_described(f"{name}:{key}", config, entry))
    return found


def _described(ref: str, config: ExternalKeyConfig, entry: ExternalKeyEntry) -> KeyUse:
    granted = ", ".join(entry.grants) or "nothing: no mount may use it"
    return KeyUse(
        name=ref,
        purpose=Purpose.EXTERNAL,
        protects=f"what is signed by {granted}",
        algorithm="",
        location=f"{config.plugin}: {_named(config.options, _TOKEN)}, {_named(entry.options, _KEY)}",
        in_hsm=True,
    )


def _named(options: Mapping[str, Json], names: Sequence[str]) -> str:
    """Return these options and no others: others are secrets, or of no interest."""
    shown = {name: options.get(name) for name in names}
    return " ".join(f"{name} {value}" for name, value in shown.items() if isinstance(value, str) and value)
