# SPDX-License-Identifier: EUPL-1.2
"""Users in their mount's data."""

from __future__ import annotations

from typing import Final

import msgspec

from nhi.auth.userpass.model import User
from vault.barrier.view import ReadView, View

USERS: Final = "user/"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(User).decode


async def user(view: ReadView, name: str) -> User | None:
    """Return the user with this name, which is in lower case."""
    value = await view.get(USERS + name)
    return _decode(value) if value is not None else None


async def put_user(view: View, new: User) -> None:
    """Keep a user."""
    await view.put(USERS + new.name, _encode(new))


async def delete_user(view: View, name: str) -> None:
    """Remove a user."""
    await view.delete(USERS + name)
