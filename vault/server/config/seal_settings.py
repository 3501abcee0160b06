# SPDX-License-Identifier: EUPL-1.2
"""What the stanzas `seal` and `hsm` say, checked. No struct here holds a PIN or shows a key."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hsm.client.settings import Pkcs11Settings
from vault.framework.secret import Secret
from vault.server.config import values as read
from vault.server.config.values import Setting


def _secret(value: object) -> Secret:
    return Secret(read.filled(value))  # type: ignore[arg-type]  # what the reader of HCL gave


class ShamirSeal(msgspec.Struct, frozen=True, kw_only=True):
    """`seal "shamir"`: the key is split among people. Beside key slots it is the way in when they are gone."""

    name: Annotated[str, Setting(read.filled, "Name of the slot among key slots.")] = "shamir"


class StaticSeal(msgspec.Struct, frozen=True, kw_only=True):
    """`seal "static"`: a key from a file or a variable. Whoever can read it opens the vault."""

    current_key_id: Annotated[
        str, Setting(read.filled, "Names `current_key` for good; another key gets another name.")
    ] = ""
    current_key: Annotated[
        Secret,
        Setting(
            _secret,
            "`file://PATH` or `env://NAME` of 32 bytes, raw, in hexadecimal or base64, and no line end.",
            "none",
        ),
    ] = Secret("")
    previous_key_id: Annotated[str, Setting(read.filled, "Name of the key before it, which still opens.")] = (
        ""
    )
    previous_key: Annotated[Secret, Setting(_secret, "The key before it, as `current_key`.", "none")] = (
        Secret("")
    )
    name: Annotated[str, Setting(read.filled, "Name of the slot, unique among seals.", "static")] = "static"
    priority: Annotated[int, Setting(read.whole, "Slots are tried in this order, lowest first.")] = 1
    disabled: Annotated[
        bool, Setting(read.boolean, "The vault is to leave this slot: it opens for `unseal -migrate` only.")
    ] = False


class HsmPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """`hsm`: what to do with key slots that are away."""

    on_loss: Annotated[
        str,
        Setting(
            read.one_of("keep", "seal_after", "seal"),
            "When no key slot answers while the vault is open: `keep` it open, `seal_after` a time, or `seal` at once.",
        ),
    ] = "keep"
    seal_after: Annotated[
        float, Setting(read.duration, "That time, counted from the first check that failed.", "15m")
    ] = 900
    canary_interval: Annotated[
        float,
        Setting(
            read.duration, "How often every slot is tried; twelve times as often while it is away.", "60s"
        ),
    ] = 60
    entropy: Annotated[
        str,
        Setting(
            read.one_of("off", "prefer", "require"),
            "Whether a token has a part in the randomness of root keys, recovery keys and shares: `off`, `prefer`, "
            "or `require`, which makes none while no token answers.",
        ),
    ] = "prefer"
    recovery_can_unseal: Annotated[
        bool,
        Setting(
            read.boolean,
            "Recovery shares also open a vault whose slots are all gone. Off: without its slots it is lost.",
        ),
    ] = True


class SealSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One seal stanza; `pkcs11` or `static` holds what its kind needs."""

    kind: str
    name: str
    priority: int = 1
    disabled: bool = False
    pkcs11: Pkcs11Settings | None = None
    static: StaticSeal | None = None
