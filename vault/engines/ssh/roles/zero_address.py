# SPDX-License-Identifier: EUPL-1.2
"""Roles of one-time passwords for every machine, whatever its address: a setting of the mount."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View

_PLACE: Final = "zero-address"


class ZeroAddress(msgspec.Struct, frozen=True):
    """The names of such roles, in the order in which they were given."""

    roles: tuple[str, ...] = ()


ZERO_ADDRESS: Final = RecordKind("ssh zero address", ZeroAddress)


async def zero_address(view: ReadView) -> ZeroAddress | None:
    """Return the setting; None where there is none."""
    stored = await view.get(_PLACE)
    return ZERO_ADDRESS.decode(stored) if stored is not None else None


async def zero_address_roles(view: ReadView) -> Sequence[str]:
    """Return the names of the roles."""
    found = await zero_address(view)
    return found.roles if found is not None else ()


async def set_zero_address(view: View, roles: Sequence[str]) -> None:
    """Keep these names, in the place of those before."""
    await view.put(_PLACE, ZERO_ADDRESS.encode(ZeroAddress(tuple(roles))))


async def unset_zero_address(view: View) -> None:
    """Remove the setting."""
    await view.delete(_PLACE)


async def remove_zero_address(view: View, role: str) -> None:
    """Take a role out, as often as it is there: one that is written anew under its name is not meant."""
    roles = await zero_address_roles(view)
    if role in roles:
        await set_zero_address(view, [name for name in roles if name != role])
