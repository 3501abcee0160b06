# SPDX-License-Identifier: EUPL-1.2
"""The keys of an SSH mount, as the crypto inventory has them: its authorities, and the one that one-time passwords are found by."""

from __future__ import annotations

from collections.abc import Sequence

from vault.barrier.view import ReadView
from vault.engines.ssh.keys.issuers import ISSUERS, default_id, issuer_by_id
from vault.engines.ssh.keys.public_key import read_public_key
from vault.engines.ssh.otp import SALT, SALT_BYTES
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.keys.inventory import KeyState, KeyUse, Purpose, kind_of
from vault.framework.keys.made import when_made


async def keys_of(core: ReadView, mount: ReadView) -> Sequence[KeyUse]:
    """Describe the keys of a mount; see `vault.framework.keys.inventory.KeysOf`. The default issuer is the active one."""
    del core
    default = await default_id(mount)
    hashes = KeyUse(
        name="one-time passwords",
        purpose=Purpose.SSH_OTP_HASH,
        protects="one-time passwords: storage has their hashes alone",
        algorithm="hmac-sha-256",
        bits=8 * SALT_BYTES,
        location="storage, under the barrier",
        created=await when_made(mount, SALT),
    )
    found = [hashes]
    turn = TimeSlice()
    for issuer_id in await mount.list(ISSUERS):
        issuer = await issuer_by_id(mount, issuer_id)
        if issuer is None:
            continue
        algorithm, bits = kind_of(read_public_key(issuer.public, "").key)
        found.append(
            KeyUse(
                name=issuer.name or issuer.id,
                purpose=Purpose.SSH_CA,
                protects="log-ins to machines that trust it, by the certificates that it signs",
                algorithm=algorithm,
                bits=bits,
                location="storage, in the safe",
                state=KeyState.ACTIVE if issuer_id == default else KeyState.RETIRED,
                created=issuer.created,
            )
        )
        await turn.step()
    return found
