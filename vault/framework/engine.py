# SPDX-License-Identifier: EUPL-1.2
"""Engine: a class full of routes. Secrets engines, auth methods and the parts of `sys/` are all engines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar

from vault.framework.call import Call, MountFacts, Namespace
from vault.framework.reply import Reply
from vault.framework.route import Route, collect

if TYPE_CHECKING:
    from vault.barrier.view import View


class Engine:
    """Base of every engine. Creating a subclass checks its declarations, so a wrong one fails at import.

    An engine holds no data: its data is in the mount's view, so one object serves all mounts.
    """

    routes: ClassVar[tuple[Route, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.routes = collect(cls)

    async def mounted(self, view: View) -> None:
        """Prepare a new mount, inside the transaction that creates it."""

    async def unmounting(self, core: View, home: Namespace, mount: MountFacts) -> None:
        """End what a mount has issued, in the transaction that moves or removes it. `core`: its namespace's data."""

    stays: ClassVar[bool] = False
    """Whether its mounts cannot be moved into another namespace."""

    guarded: ClassVar[tuple[str, ...]] = ()
    """Prefixes of paths that need sudo, even where there is no route."""

    wrong_verb: Callable[[Call], Awaitable[Reply[object] | None]] | None = None
    """Refuses a verb that a public path does not take, where OpenBao says more than 'unsupported operation'."""

    missing: Callable[[Call], Awaitable[Reply[object] | None]] | None = None
    """Answers on a path that no route matches, where OpenBao says more than 'unsupported path'."""
