# SPDX-License-Identifier: EUPL-1.2
"""What a handler finds out within its transaction that it must ask others: it asks, and begins again with the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from vault.framework.call import Call
from vault.framework.errors import VaultError
from vault.framework.keys.external import AskFirst

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a device answered before the transaction, or why it did not, and about what."""

    about: object
    value: object = field(repr=False)
    before: object = field(repr=False)
    """What had been found out before that."""


def prepared(call: Call) -> object:
    """Return what a route's `before` found out, also once a device was asked since."""
    ready = call.prepared
    return ready.before if isinstance(ready, _Answer) else ready


async def asked_first(call: Call, about: object, kind: type[T], ask: Callable[[], Awaitable[T]]) -> T:
    """Return what a device answered about just this before the transaction; else it is asked, and the call begins again."""
    ready = call.prepared
    if isinstance(ready, _Answer) and ready.about == about:
        if isinstance(ready.value, VaultError):
            raise ready.value
        assert isinstance(ready.value, kind)
        return ready.value

    known = prepared(call)

    async def first() -> _Answer:
        try:
            return _Answer(about, await ask(), known)
        except VaultError as error:
            return _Answer(about, error, known)

    raise AskFirst(first)
