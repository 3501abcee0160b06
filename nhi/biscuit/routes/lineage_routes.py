# SPDX-License-Identifier: EUPL-1.2
"""What a security team asks: which credentials were presented, what was made from them, who still uses a secret."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from nhi.biscuit.credential.children import Child, Children
from nhi.biscuit.credential.verifier import Mounted
from nhi.biscuit.offline import attenuation
from nhi.biscuit.records import lineage, renewals, store, uses
from nhi.biscuit.records.lineage import Node, Tree
from nhi.biscuit.records.model import IssuedToken, KeyState, MountRef
from nhi.biscuit.routes.lineage_params import (
    ChildInfo,
    Credential,
    CredentialPath,
    Credentials,
    CredentialsParams,
    MethodInfo,
    NodeInfo,
    OrphanInfo,
    OrphansInfo,
    RegistrationReport,
    RenewalInfo,
    Report,
    ReportParams,
    SettingsInfo,
    SettingsParams,
    TreeInfo,
)
from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.framework.clock import rfc3339
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.route import read, write
from vault.values.ids import TokenId
from vault.values.times import Millis, millis_to_nanos

_MOST: Final = 1000
_ANOMALIES: Final = (
    "any",
    lineage.AFTER,
    attenuation.RESERVED_FACT,
    lineage.SOURCES,
    lineage.REFUSED,
    lineage.TOO_DEEP,
    lineage.MORE,
    attenuation.NO_OP,
    attenuation.OUTLIVES,
)
"""What can be asked for. Another word finds nothing, and would read as if all were well."""
_TOKENS: Final = 256
"""Service tokens that a tree names."""
_TOKEN_ID: Final = re.compile(r"[0-9a-f]{32}\Z")
_NAME: Final = re.compile(r"[0-9a-f]{12}-[0-9a-f]{32}\Z")


class LineageEngine(Engine):
    """Credentials that were presented, trees, alarms."""

    def __init__(self, children: Children, has_login: Mounted, *, blocks: int, names: int) -> None:
        """`has_login` says whether a namespace has a mount that calls its logins so.

        A request looks at so many blocks of credentials, and reads so many names of some at once.
        """
        self._blocks = blocks
        self._names = names
        self._children = children
        self._has_login = has_login

    @read("config", event="nhi.config.read")
    async def read_config(self, call: Call) -> SettingsInfo:
        """Show the settings of the mount."""
        return SettingsInfo((await lineage.settings(call.reader)).lineage_ttl)

    @write("config", event="nhi.config.write")
    async def write_config(self, call: Call, params: SettingsParams) -> SettingsInfo:
        """Change the settings of the mount. What was seen before keeps the end that it had."""
        if params.lineage_ttl is not None:
            await lineage.put_settings(call.tx, lineage.LineageSettings(params.lineage_ttl))
        return SettingsInfo((await lineage.settings(call.tx)).lineage_ttl)

    @read("credentials", event="nhi.credential.list")
    async def credentials(self, call: Call, params: CredentialsParams) -> Credentials:
        """Find credentials by workload, time, source or anomaly, the newest first: presented, or alive and never presented."""
        if not 1 <= params.limit <= _MOST:
            raise Malformed(f"limit: must be from 1 to {_MOST}")
        if params.presented not in {"yes", "no", "any"}:
            raise Malformed("presented: must be yes, no or any")
        if params.after and not _NAME.match(params.after):
            raise Malformed("after: must be what `next` of the page before said")
        if params.anomaly and params.anomaly not in _ANOMALIES:
            raise Malformed(f"anomaly: must be one of {', '.join(_ANOMALIES)}")
        since, until = _time("since", params.since), _time("until", params.until)
        after = params.after or (lineage.since(Millis(max(until - 1, 0))) if params.until else "")
        found: list[Credential] = []
        looked, pace = 0, TimeSlice()
        async for name, presented in _found(call.reader, params, after, self._names):
            await pace.step()
            after = name
            tree = await _tree(call.reader, lineage.token_of(name), presented=presented)
            looked += len(tree.nodes) if tree is not None else 1
            if tree is None or (not presented and params.workload not in {"", tree.issued.workload}):
                if looked >= self._blocks:
                    return Credentials(found, after)
                continue
            if (tree.first_seen or tree.issued.created) < since:
                break
            shown = await self._credential(call, tree)
            if _fits(shown, params):
                found.append(shown)
            if len(found) == params.limit or looked >= self._blocks:
                return Credentials(found, after)
        return Credentials(found, "")

    @read("credentials/{token_id}", event="nhi.credential.read")
    async def tree(self, call: Call, params: CredentialPath) -> TreeInfo:
        """Show the tree of a credential: each block that was presented, what it took away, and what is odd."""
        if not _TOKEN_ID.match(params.token_id):
            raise NotFound
        tree = await _tree_of(call.reader, params.token_id)
        if tree is None:
            raise NotFound
        return TreeInfo(
            credential=await self._credential(call, tree),
            more=tree.more,
            nodes=[_shown(node) for node in tree.nodes],
            renewals=await self._renewals(call, tree.issued.ids),
            tokens=[_child(one) for one in await self._made(call, tree.issued)],
        )

    @read("orphans", event="nhi.orphan.list")
    async def orphans(self, call: Call) -> OrphansInfo:
        """Show tokens with a good signature that were not issued here: another party may have a key."""
        found = await lineage.orphans(call.reader)
        shown = [
            OrphanInfo(
                id=one.id,
                kid=one.kid,
                token_id=one.token_id,
                workload=one.workload,
                first_seen=when(one.first_seen),
                source=one.source,
            )
            for one in found.seen
        ]
        return OrphansInfo(shown, found.more)

    @read("report", event="nhi.report.read")
    async def report(self, call: Call, params: ReportParams) -> Report:
        """Show how the tokens of each registration come about; who still logs in by secret comes first on each page."""
        if not 0 <= params.limit <= _MOST:
            raise Malformed(f"limit: must be from 0 to {_MOST}")
        found = []
        names = await call.reader.list(store.REGISTRATIONS, after=params.after, limit=params.limit)
        pace = TimeSlice()
        for name in names:
            await pace.step()
            registration = await store.registration(call.reader, name)
            if registration is None:
                continue
            workload = await store.workload(call.reader, registration.workload)
            logins = await store.logins(call.reader, name)
            used = await uses.of(call.reader, name)
            found.append(
                RegistrationReport(
                    registration=name,
                    workload=registration.workload,
                    owner=workload.owner if workload is not None else "",
                    has_secret=bool(registration.secret_hash),
                    uses_secret=bool(registration.secret_hash) and "client_secret" in logins.counts,
                    workload_disabled=workload is not None and workload.disabled,
                    workload_expire_time=when(workload.expires) if workload is not None else "",
                    methods={
                        method: MethodInfo(count, when(logins.last[method]))
                        for method, count in sorted(logins.counts.items())
                    },
                    issued=sum(logins.counts.values()),
                    presented=used.presented,
                    last_used=when(used.last),
                )
            )
        found.sort(key=lambda one: (not one.uses_secret, not one.has_secret, one.registration))
        return Report(found, names[-1] if params.limit and len(names) == params.limit else "")

    async def _credential(self, call: Call, tree: Tree) -> Credential:
        """Return a credential as it is shown."""
        issued = tree.issued
        state = "revoked" if tree.nodes[0].revoked else await self._state(call, issued)
        made = await self._made(call, issued) if state == "active" else ()
        return Credential(
            token_id=issued.token_id,
            workload=issued.workload,
            registration=issued.registration,
            method=issued.method,
            kid=issued.kid,
            policies=issued.policies,
            renewed_from=issued.parent,
            issue_time=when(issued.created),
            expire_time=when(issued.expires),
            presented=bool(tree.first_seen),
            first_seen=when(tree.first_seen),
            last_seen=when(await uses.last(call.reader, tree)),
            sources=sorted({source for node in tree.nodes for source in node.sources}),
            blocks=len(tree.nodes),
            depth=max(node.index for node in tree.nodes) + 1,
            state=state,
            tokens=len(made),
            anomalies=tree.anomalies,
        )

    async def _made(self, call: Call, issued: IssuedToken) -> Sequence[Child]:
        """Return the service tokens that were made with a credential and live, as many as are named."""
        return await self._children.of(call, [store.block_tag(issued.ids)], _TOKENS)

    async def _state(self, call: Call, issued: IssuedToken) -> str:
        """Return whether a credential is `active`, `expired`, `revoked`, or has ended with its `workload`, `mount` or `key`."""
        if await store.revoked(call.reader, issued.ids) is not None:
            return "revoked"
        if call.now >= issued.expires:
            return "expired"
        workload = await store.workload(call.reader, issued.workload)
        if not issued.owned(workload, call.now):
            return "workload-ended"
        logins = issued.hangs_on(MountRef(call.namespace.id, call.mount.uuid))
        if not all(self._has_login(call.namespace, login) for login in logins):
            return "mount-gone"
        key = await store.key(call.reader, issued.kid)
        return "key-destroyed" if key is None or key.state is KeyState.DESTROYED else "active"

    async def _renewals(self, call: Call, block_id: str) -> list[RenewalInfo]:
        """Return the tokens that were renewed from one, as they are shown."""
        found = []
        for one in (await renewals.heirs(call.reader, block_id))[:_MOST]:
            issued = await store.issued(call.reader, one.token_id)
            found.append(
                RenewalInfo(
                    token_id=one.token_id,
                    id=one.block.hex(),
                    parent=one.parent.hex(),
                    expire_time=when(one.expires),
                    state="expired" if issued is None else await self._state(call, issued),
                )
            )
        return found


def when(millis: Millis) -> str:
    """Return a time as it is shown; empty for never."""
    return rfc3339(millis_to_nanos(millis)) if millis else ""


def _shown(node: Node) -> NodeInfo:
    return NodeInfo(
        id=node.id,
        parent=node.parent,
        index=node.index,
        narrowing=node.narrowing,
        approver=node.approver,
        first_seen=when(node.first_seen),
        source=node.source,
        sources=node.sources,
        revoked=bool(node.revoked),
        revoke_time=when(node.revoked),
        reason=node.reason,
        refused=node.refused,
        anomalies=node.anomalies,
    )


def _child(child: Child) -> ChildInfo:
    entry = child.entry
    return ChildInfo(
        accessor=entry.accessor,
        parent=child.parent,
        display_name=entry.display_name,
        policies=entry.policies,
        issue_time=rfc3339(entry.created),
        expire_time=rfc3339(entry.expires),
    )


def _fits(shown: Credential, params: CredentialsParams) -> bool:
    if params.source and params.source not in shown.sources:
        return False
    if params.anomaly == "any":
        return bool(shown.anomalies)
    return not params.anomaly or params.anomaly in shown.anomalies


def _time(field: str, text: str) -> Millis:
    """Return a time in milliseconds; 0 where none is given. Raises `Malformed`."""
    if not text:
        return Millis(0)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Malformed(f"{field}: must be a time with its zone, as 2026-12-01T00:00:00Z")
    return Millis(round(found.timestamp() * 1000))


async def _tree_of(view: ReadView, name: str) -> Tree | None:
    """Return the tree of a credential by its id, or by that of a block that was presented; None where there is none."""
    token_id = TokenId(name)
    known = await lineage.tree(view, token_id)
    if known is not None:
        return known
    issued = await store.issued(view, token_id)
    if issued is not None:
        return lineage.unseen(issued)
    owner = await lineage.owner_of(view, name)
    return None if owner is None else await lineage.tree(view, owner)


async def _tree(view: ReadView, token_id: TokenId, *, presented: bool) -> Tree | None:
    """Return what was seen of a token, which is nothing of one that was never presented."""
    if presented:
        return await lineage.tree(view, token_id)
    issued = await store.issued(view, token_id)
    return lineage.unseen(issued) if issued is not None else None


async def _found(
    view: ReadView, params: CredentialsParams, after: str, size: int
) -> AsyncGenerator[tuple[str, bool]]:
    """Yield what may fit, the newest first, each with whether it was presented: two indexes as one."""
    seen = _names(partial(lineage.page, view, params.workload), after, size)
    unseen = _names(partial(uses.unseen, view), after, size)
    one = None if params.presented == "no" else await anext(seen, None)
    never = params.presented != "yes" and not (params.source or params.anomaly)
    other = await anext(unseen, None) if never else None
    while one is not None or other is not None:
        if other is None or (one is not None and one < other):
            assert one is not None
            yield one, True
            one = await anext(seen, None)
        else:
            yield other, False
            other = await anext(unseen, None)


async def _names(
    page: Callable[[str, int], Awaitable[Sequence[str]]], after: str, size: int
) -> AsyncGenerator[str]:
    while True:
        names = await page(after, size)
        for name in names:
            yield name
        if len(names) < size:
            return
        after = names[-1]
