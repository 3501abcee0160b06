# SPDX-License-Identifier: EUPL-1.2
"""What login methods keep by name in their mount's data, and how names are listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.framework.call import Call
from vault.framework.errors import NotFound
from vault.framework.fields import Doc, LowerCase
from vault.framework.route import Params

T = TypeVar("T")


class ListParams(Params, frozen=True):
    """Which part of a list."""

    after: Annotated[str, Doc("Begin after this name.")] = ""
    limit: Annotated[int, Doc("How many names to show at most; 0 or less for all.", clear=True)] = 0


class Keys(msgspec.Struct, frozen=True):
    """The answer of a list: names, in order."""

    keys: Sequence[str]


class RoleName(Params, frozen=True, kw_only=True):
    """Names a role."""

    name: Annotated[LowerCase, Doc("Name of the role.")]


def nulled(call: Call, name: str) -> bool:
    """Whether a field came as null: where that leaves nothing at all, and an empty value would leave an empty one."""
    return call.data.get(name, "") is None


class Record(Generic[T]):
    """What a mount has one of."""

    def __init__(self, place: str, kind: RecordKind[T]) -> None:
        self._place = place
        self._kind = kind

    async def find(self, view: ReadView) -> T | None:
        """Return it, where there is one."""
        value = await view.get(self._place)
        return self._kind.decode(value) if value is not None else None

    async def keep(self, view: View, new: T) -> None:
        """Write the record."""
        await view.put(self._place, self._kind.encode(new))


class Records(Generic[T]):
    """Records of one kind by name, in lower case, below a folder."""

    def __init__(self, folder: str, kind: RecordKind[T]) -> None:
        self._folder = folder
        self._kind = kind

    async def find(self, view: ReadView, name: str) -> T | None:
        """Return the record with this name."""
        value = await view.get(self._folder + name)
        return self._kind.decode(value) if value is not None else None

    async def keep(self, view: View, name: str, new: T) -> None:
        """Keep a record under this name."""
        await view.put(self._folder + name, self._kind.encode(new))

    async def remove(self, view: View, name: str) -> None:
        """Remove a record; nothing happens where there is none."""
        await view.delete(self._folder + name)

    async def every(self, view: ReadView) -> Mapping[str, T]:
        """Return all records by name, sorted."""
        found = {name: await self.find(view, name) for name in await view.list(self._folder)}
        return {name: one for name, one in found.items() if one is not None}

    async def names(self, call: Call, params: ListParams) -> Keys:
        """List names. Raises `NotFound` where there are none."""
        names = await call.reader.list(self._folder, after=params.after, limit=max(params.limit, 0))
        if not names:
            raise NotFound
        return Keys(names)
