# SPDX-License-Identifier: EUPL-1.2
"""Settings, roles and revocation lists in their mount's data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from nhi.auth.cert.model import Config, Revoked, Role
from vault.barrier.view import ReadView, View

ROLES: Final = "cert/"
CRLS: Final = "crl/"
_CONFIG: Final = "config"

_encode = msgspec.msgpack.Encoder().encode
_decode_config = msgspec.msgpack.Decoder(Config).decode
_decode_role = msgspec.msgpack.Decoder(Role).decode
_decode_crl = msgspec.msgpack.Decoder(Revoked).decode


async def config(view: ReadView) -> Config:
    """Return the settings of the mount."""
    value = await view.get(_CONFIG)
    return _decode_config(value) if value is not None else Config()


async def put_config(view: View, new: Config) -> None:
    """Keep the settings of the mount."""
    await view.put(_CONFIG, _encode(new))


async def role(view: ReadView, name: str) -> Role | None:
    """Return the role with this name, which is in lower case."""
    value = await view.get(ROLES + name)
    return _decode_role(value) if value is not None else None


async def roles(view: ReadView, name: str) -> Sequence[Role]:
    """Return the role with this name, or all of them by name where it is empty."""
    names = [name] if name else await view.list(ROLES)
    found = [await role(view, one) for one in names]
    return [one for one in found if one is not None]


async def put_role(view: View, new: Role) -> None:
    """Keep a role."""
    await view.put(ROLES + new.name, _encode(new))


async def delete_role(view: View, name: str) -> None:
    """Remove a role."""
    await view.delete(ROLES + name)


async def crl(view: ReadView, name: str) -> Revoked | None:
    """Return a revocation list."""
    value = await view.get(CRLS + name)
    return _decode_crl(value) if value is not None else None


async def crls(view: ReadView) -> Sequence[Revoked]:
    """Return every revocation list."""
    found = [await crl(view, name) for name in await view.list(CRLS)]
    return [one for one in found if one is not None]


async def put_crl(view: View, name: str, new: Revoked) -> None:
    """Keep a revocation list."""
    await view.put(CRLS + name, _encode(new))


async def delete_crl(view: View, name: str) -> None:
    """Remove a revocation list."""
    await view.delete(CRLS + name)
