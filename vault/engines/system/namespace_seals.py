# SPDX-License-Identifier: EUPL-1.2
"""Sealing single namespaces: none here has keys of its own, and whoever asks is told so instead of misled."""

from __future__ import annotations

from typing import Annotated

from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.route import Params, delete, read, write
from vault.namespace.book import Namespaces
from vault.namespace.entry import NamespaceEntry, WrongName, check_name


class NamespacePath(Params, frozen=True):
    """Names a namespace."""

    path: Annotated[str, Doc("Name of the namespace, in the one that is asked.")]


class UnsealParams(NamespacePath, frozen=True):
    """A share of a namespace's key."""

    key: Annotated[str, Doc("The share.")] = ""


class NamespaceSeals(Engine):
    """The part of `sys/namespaces` that is about keys."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces

    @read("namespaces/{path:path}/seal-status")
    async def read_seal_status(self, call: Call, params: NamespacePath) -> None:
        """Show whether a namespace is sealed: none can be."""
        self._refuse(call, params.path)

    @write("namespaces/{path:path}/seal", writes=False)
    async def seal(self, call: Call, params: NamespacePath) -> None:
        """Seal a namespace: none can be. Locking its API closes it too."""
        self._refuse(call, params.path)

    @write("namespaces/{path:path}/unseal", writes=False)
    async def unseal(self, call: Call, params: UnsealParams) -> None:
        """Hand in a share of a namespace's key: none has a key of its own."""
        if not params.key:
            raise Malformed("provided key is empty", chained=True)
        self._refuse(call, params.path)

    @delete("namespaces/{path:path}/delete-sealed", writes=False)
    async def delete_sealed(self, call: Call, params: NamespacePath) -> None:
        """Remove a namespace that is sealed: none is."""
        self._existing(call, params.path)
        raise Malformed("namespace is not sealed")

    def _refuse(self, call: Call, given: str) -> None:
        self._existing(call, given)
        raise Malformed("namespace is not sealable")

    def _existing(self, call: Call, given: str) -> NamespaceEntry:
        entry = self._find(call, given)
        if entry is None:
            raise Malformed("namespace doesn't exist")
        return entry

    def _find(self, call: Call, given: str) -> NamespaceEntry | None:
        """Return the namespace with this name in the call's. Raises `Malformed` for what is no name."""
        name = given.rstrip("/")
        try:
            check_name(name)
        except WrongName as wrong:
            raise Malformed(str(wrong)) from None
        return self._namespaces.at(f"{call.namespace.path}{name}/")
