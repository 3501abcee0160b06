# SPDX-License-Identifier: EUPL-1.2
"""Seals of single namespaces: those that were made with keys of their own."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from vault.engines.system.seal.errors import confirm_facts
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Locked, Malformed
from vault.framework.fields import Doc
from vault.framework.hcl.parser import parse
from vault.framework.hcl.syntax_tree import Block, HclError
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, read, write
from vault.mount.router import SEALED
from vault.namespace.book import Namespaces
from vault.namespace.entry import NAMESPACE_KIND, NamespaceEntry, WrongName, check_name
from vault.namespace.seal import NamespaceSealing
from vault.seal.failure import SealRefusal
from vault.storage.protocol import Timer
from vault.values.times import Millis

_LEFT: Final = (
    "sealed namespace has leftover child namespaces; pass force=true to delete the entire tree, "
    "or unseal the namespace and delete children individually"
)
_ONE: Final = "seal config must contain exactly one seal stanza"
_KIND: Final = "namespaces currently only support shamir seals"


class NamespacePath(Params, frozen=True):
    """Names a namespace."""

    path: Annotated[str, Doc("Name of the namespace, relative to the caller's.")]


class NamespaceUnsealParams(NamespacePath, frozen=True):
    """A share of a namespace's key."""

    key: Annotated[str, Doc("The share, in hexadecimal or base64.")] = ""
    reset: Annotated[bool, Doc("Forget the shares that were given so far.", clear=True)] = False


class DeleteSealedParams(NamespacePath, frozen=True):
    """Names a sealed namespace."""

    force: Annotated[bool, Doc("Whether to remove the namespaces in it too.", clear=True)] = False


class Removal(msgspec.Struct, frozen=True):
    """How far the removal of a namespace is."""

    status: str


class NamespaceSealView(msgspec.Struct, frozen=True):
    """Whether a namespace is sealed, and the progress of its unseal."""

    initialized: bool
    n: int
    nonce: str
    progress: int
    sealed: bool
    t: int
    type: str


class NamespaceSeals(Engine):
    """The part of `sys/namespaces` that is about keys."""

    def __init__(self, namespaces: Namespaces, sealing: NamespaceSealing) -> None:
        self._namespaces = namespaces
        self._sealing = sealing

    @read("namespaces/{path:path}/seal-status", event="namespace.status")
    async def read_seal_status(self, call: Call, params: NamespacePath) -> NamespaceSealView:
        """Show whether a namespace is sealed."""
        return self._state(self._sealable(call, params.path))

    @write("namespaces/{path:path}/seal", writes=False, event="namespace.seal")
    async def seal(self, call: Call, params: NamespacePath) -> None:
        """Seal a namespace and all below it: it answers nothing any more, and its keys leave the memory."""
        await confirm_facts(call)
        await self._sealing.seal(self._sealable(call, params.path))

    @write("namespaces/{path:path}/unseal", writes=False, event="namespace.unseal")
    async def unseal(self, call: Call, params: NamespaceUnsealParams) -> NamespaceSealView:
        """Give a share of a namespace's key."""
        if not params.key and not params.reset:
            raise Malformed("provided key is empty", chained=True)
        await confirm_facts(call)
        entry = self._sealable(call, params.path)
        try:
            await self._sealing.unseal(entry, params.key, reset=params.reset)
        except SealRefusal as refusal:
            raise Malformed(str(refusal)) from None
        return self._state(entry)

    @delete("namespaces/{path:path}/delete-sealed", event="namespace.delete")
    async def delete_sealed(self, call: Call, params: DeleteSealedParams) -> Reply[Removal]:
        """Remove a sealed namespace with all its data. Secrets of its leases stay valid in their target systems."""
        entry = self._find(call, params.path)
        if entry is None:
            return Reply(warnings=["requested namespace does not exist"])
        if not self._namespaces.sealed(entry):
            raise Malformed("namespace is not sealed")
        inner = self._namespaces.below(entry.path, deep=True)
        if inner and not params.force:
            raise Malformed(_LEFT)
        for each in (*inner, entry):
            await self._namespaces.put(call.core, msgspec.structs.replace(each, tainted=True, abandoned=True))
            inner_first = Millis(call.now - each.path.count("/"))
            await call.core.at(Timer(NAMESPACE_KIND, each.id, inner_first))
        return Reply(data=Removal("in-progress"))

    def _state(self, entry: NamespaceEntry) -> NamespaceSealView:
        state = self._sealing.status(entry)
        return NamespaceSealView(
            initialized=True,
            n=state.shares,
            nonce=state.nonce,
            progress=state.progress,
            sealed=state.sealed,
            t=state.threshold,
            type="shamir",
        )

    def _sealable(self, call: Call, given: str) -> NamespaceEntry:
        entry = self._find(call, given)
        if entry is None or entry.tainted:
            raise Malformed("namespace doesn't exist")
        if entry.seal is None:
            raise Malformed("namespace is not sealable")
        return entry

    def _open(self, entry: NamespaceEntry) -> NamespaceEntry:
        """Return a namespace that is open. Raises `Locked` for a sealed one."""
        if self._namespaces.sealed(entry):
            raise Locked(SEALED)
        return entry

    def _find(self, call: Call, given: str) -> NamespaceEntry | None:
        """Return the namespace with this name in the call's. Raises `Malformed` for an invalid name."""
        name = given.rstrip("/")
        try:
            check_name(name)
        except WrongName as wrong:
            raise Malformed(str(wrong)) from None
        return self._namespaces.at(f"{call.namespace.path}{name}/")


def seal_stanza(text: str) -> tuple[int, int]:
    """Return shares and threshold of a `seal "shamir" { … }` stanza. Raises `Malformed`."""
    try:
        body = parse(text)
    except HclError as error:
        raise Malformed(f"unable to parse seal config: {error}", chained=True) from None
    stanzas = body.named("seal")
    if len(stanzas) != 1 or len(body.items) != 1 or not isinstance(stanzas[0].value, Block):
        raise Malformed(_ONE, chained=True)
    if stanzas[0].labels != ("shamir",):
        raise Malformed(_KIND, chained=True)
    return _number(stanzas[0].value, "shares"), _number(stanzas[0].value, "threshold")


def _number(block: Block, name: str) -> int:
    """Return a whole number of a stanza, 0 where it is not given. Raises `Malformed`."""
    found = block.named(name)
    value = found[-1].value if found else 0
    if isinstance(value, str) and value.isdecimal() and len(value) < 6:
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed(f"invalid seal config: {name} must be a whole number")
    return value
