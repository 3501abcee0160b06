# SPDX-License-Identifier: EUPL-1.2
"""The keys of an identity store, as the crypto inventory has them: those that sign identity tokens, and second factors.

Retired pairs are not among them: their private halves are gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from nhi.identity.records import oidc
from nhi.identity.records.mfa import SECRETS
from nhi.identity.records.oidc import NamedKey
from nhi.jose.signing_key import SigningKey, strength
from vault.barrier.view import ReadView
from vault.framework.keys.inventory import KeyState, KeyUse, Purpose, counted
from vault.values.times import Millis, Seconds, nanos_to_millis, seconds_to_millis, time_between


async def keys_of(core: ReadView, mount: ReadView) -> Sequence[KeyUse]:
    """Describe the keys of a namespace's identity store; see `vault.framework.keys.inventory.KeysOf`."""
    del mount
    named = [await oidc.named_key(core, name) for name in await oidc.key_names(core)]
    pairs = [use for key in named if key is not None for use in _pairs(key)]
    count = await counted(core.scan, SECRETS)
    return [*pairs, *([_seeds(count)] if count else [])]


def _pairs(key: NamedKey) -> Sequence[KeyUse]:
    began = nanos_to_millis(key.rotates)
    began = time_between(seconds_to_millis(key.rotation_period), began) if began else Millis(0)
    found = []
    if key.current is not None:
        found.append(_pair(key, key.current, KeyState.ACTIVE, began))
    if key.following is not None:
        found.append(_pair(key, key.following, KeyState.NEXT, Millis(0)))
    return found


def _pair(key: NamedKey, pair: SigningKey, state: KeyState, began: Millis) -> KeyUse:
    algorithm, bits = strength(pair)
    return KeyUse(
        name=f"oidc/{key.name}/{pair.kid}",
        purpose=Purpose.IDENTITY_TOKEN,
        protects=f"identity tokens and OpenID Connect clients of the key {key.name}: their signature",
        algorithm=algorithm,
        bits=bits,
        location="storage, in the safe" if pair.held else "storage, under the barrier",
        version=pair.kid,
        state=state,
        rotated=began,
        period=key.rotation_period if state is KeyState.ACTIVE else Seconds(0),
    )


def _seeds(count: int) -> KeyUse:
    return KeyUse(
        name="mfa",
        purpose=Purpose.SECOND_FACTOR,
        protects="second factors of log-ins",
        algorithm="totp",
        location="storage, under the barrier",
        count=count,
    )
