# SPDX-License-Identifier: EUPL-1.2
"""Configuration and roles in their mount's data."""

from __future__ import annotations

from typing import Final

import msgspec

from nhi.auth.kubernetes.model import Config, Role
from vault.barrier.view import ReadView, View

ROLES: Final = "role/"
_CONFIG: Final = "config"

_encode = msgspec.msgpack.Encoder().encode
_decode_config = msgspec.msgpack.Decoder(Config).decode
_decode_role = msgspec.msgpack.Decoder(Role).decode


async def config(view: ReadView) -> Config | None:
    """Return how the mount is configured."""
    value = await view.get(_CONFIG)
    return _decode_config(value) if value is not None else None


async def put_config(view: View, new: Config) -> None:
    """Keep how the mount is configured."""
    await view.put(_CONFIG, _encode(new))


async def role(view: ReadView, name: str) -> Role | None:
    """Return the role with this name, which is in lower case."""
    value = await view.get(ROLES + name)
    return _decode_role(value) if value is not None else None


async def put_role(view: View, new: Role) -> None:
    """Keep a role."""
    await view.put(ROLES + new.name, _encode(new))


async def delete_role(view: View, name: str) -> None:
    """Remove a role."""
    await view.delete(ROLES + name)
