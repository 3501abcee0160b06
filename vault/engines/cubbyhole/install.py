# SPDX-License-Identifier: EUPL-1.2
"""What the cubbyhole brings to a server: it ends with its token."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from vault.barrier.view import View
from vault.engines.cubbyhole.engine import Cubbyhole
from vault.engines.cubbyhole.left import LEFT_KIND, LeftEntries
from vault.engines.cubbyhole.model import EntryPath
from vault.engines.cubbyhole.response import CubbyholeResponseEngine
from vault.engines.cubbyhole.store import purge
from vault.framework.call import Call
from vault.framework.fields import Json
from vault.framework.reply import Reply
from vault.install import Installation, Kind, Services
from vault.values.ids import TokenKey


def install(services: Services) -> Installation:
    """Return the cubbyhole, and what removes a token's entries in every namespace below the token's own."""
    entries = Cubbyhole()
    left = LeftEntries(services.namespaces, services.router, services.clock)

    def own_entry(call: Call) -> Awaitable[Reply[Mapping[str, Json]]]:
        return entries.read_entry(call, EntryPath(path="response"))

    async def remove_entries(core: View, key: TokenKey) -> bool:
        home, more = services.tokens.namespace(key), False
        for table in services.router.within(home) if home is not None else ():
            mount = table.get("cubbyhole/")
            if mount is not None:
                view = core.space(table.namespace.id).mount(mount.entry.uuid)
                more = await purge(view, key) or more
            else:
                await left.note(core, table.namespace, key)
        return more

    response = CubbyholeResponseEngine(services.wrapper, services.barrier, own_entry)
    return Installation(
        kinds=(Kind(("cubbyhole",), (response, entries)),),
        timers={LEFT_KIND: left.due},
        on_revoke=(remove_entries,),
    )
