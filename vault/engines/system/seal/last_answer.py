# SPDX-License-Identifier: EUPL-1.2
"""What storage said last, for those who ask how a server is while storage does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from vault.framework.concurrency.deadline import within
from vault.storage.protocol import StorageFailure

T = TypeVar("T")

_PATIENCE: Final = 1.0
"""Seconds that storage has for it: whoever balances load does not wait longer."""


class LastAnswer(Generic[T]):
    """Asks, and answers as the last time where no answer comes."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._ask: Final = ask
        self._known: T | None = None
        self._failed_at: float | None = None

    async def get(self) -> T:
        """Return what is so, or was when storage answered last. Raises `StorageFailure` where it never has."""
        try:
            known = self._known = await within(_PATIENCE, self._ask())
        except (StorageFailure, TimeoutError) as failure:
            if self._failed_at is None:
                self._failed_at = asyncio.get_running_loop().time()
            if self._known is None:
                raise StorageFailure(str(failure) or "the storage does not answer") from failure
            return self._known
        self._failed_at = None
        return known

    def note(self, known: T) -> None:
        """Take what was found out elsewhere for the last answer."""
        self._known = known

    @property
    def silent(self) -> float:
        """For how many seconds nothing was answered, as far as anybody asked; 0 where the last question was."""
        if self._failed_at is None:
            return 0.0
        return max(asyncio.get_running_loop().time() - self._failed_at, 1e-9)
