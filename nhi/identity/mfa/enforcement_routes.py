# SPDX-License-Identifier: EUPL-1.2
"""`identity/mfa/login-enforcement`: whose logins need a second factor."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from nhi.identity.entities.entity_routes import KeyInfo, own
from nhi.identity.mfa import reach
from nhi.identity.mfa.reach import Chain
from nhi.identity.records import groups, store
from nhi.identity.records import mfa as model
from nhi.identity.records.mfa import Enforcement
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import CommaList, Doc, Json
from vault.framework.route import Params, delete, list_, read, write
from vault.mount.router import Router
from vault.values.ids import EntityId, GroupId

_ALONE: Final = frozenset({"nhi"})
"""Methods whose clients cannot have a second factor."""


class EnforcementParams(Params, frozen=True, kw_only=True):
    """An enforcement; what is not given stays, but for the methods."""

    name: Annotated[str, Doc("Name of the enforcement.")]
    mfa_method_ids: Annotated[
        CommaList | None, Doc("Ids of the methods of which one is needed.", clear=True)
    ] = None
    auth_method_accessors: Annotated[
        CommaList | None, Doc("Accessors of the mounts that it is about.", clear=True)
    ] = None
    auth_method_types: Annotated[CommaList | None, Doc("Kinds of mounts that it is about.", clear=True)] = (
        None
    )
    identity_group_ids: Annotated[
        CommaList | None, Doc("Ids of the groups that it is about.", clear=True)
    ] = None
    identity_entity_ids: Annotated[
        CommaList | None, Doc("Ids of the entities that it is about.", clear=True)
    ] = None


class EnforcementName(Params, frozen=True):
    """Which enforcement."""

    name: Annotated[str, Doc("Name of the enforcement.")]


class EnforcementEngine(Engine):
    """Enforcements. Those of a namespace hold in all namespaces below it too."""

    def __init__(self, router: Router, chain: Chain, entropy: Entropy) -> None:
        """`chain` returns a namespace and all above it."""
        self._router = router
        self._chain = chain
        self._entropy = entropy

    @write("mfa/login-enforcement/{name:word}", event="identity.mfa.enforcement.write")
    async def write_enforcement(self, call: Call, params: EnforcementParams) -> None:
        """Make or change an enforcement."""
        if params.mfa_method_ids is None:
            raise Malformed("missing method ids")
        old = await model.enforcement(call.core, params.name)
        new = old or Enforcement(id=self._entropy.uuid(), name=params.name, methods=())
        given = {
            "accessors": params.auth_method_accessors,
            "types": params.auth_method_types,
            "groups": params.identity_group_ids,
            "entities": params.identity_entity_ids,
        }
        changed = {name: value for name, value in given.items() if value is not None}
        new = msgspec.structs.replace(new, methods=params.mfa_method_ids, **changed)
        await self._check(call, new)
        await model.put_enforcement(call.core, new)

    @read("mfa/login-enforcement/{name:word}", event="identity.mfa.enforcement.read")
    async def read_enforcement(self, call: Call, params: EnforcementName) -> dict[str, Json]:
        """Read an enforcement."""
        found = await model.enforcement(own(call), params.name)
        if found is None:
            raise NotFound
        return _shown(call, found)

    @list_("mfa/login-enforcement", event="identity.mfa.enforcement.list")
    async def list_enforcements(self, call: Call) -> KeyInfo:
        """List enforcements by name, with what they are."""
        found = {one.name: _shown(call, one) for one in await model.enforcements(own(call))}
        if not found:
            raise NotFound
        return KeyInfo(found, list(found))

    @delete("mfa/login-enforcement/{name:word}", event="identity.mfa.enforcement.delete")
    async def delete_enforcement(self, call: Call, params: EnforcementName) -> None:
        """Remove an enforcement."""
        await call.core.delete(model.ENFORCEMENTS + params.name)

    async def _check(self, call: Call, new: Enforcement) -> None:
        """Refuse an enforcement of something that is not there, or of nothing. Raises `Malformed`."""
        for one in new.methods:
            if await reach.method(call.core, self._chain(call.namespace), one) is None:
                raise Malformed("one of the provided method ids doesn't exist")
        for one in new.groups:
            if await groups.group(call.core, GroupId(one)) is None:
                raise Malformed("one of the provided group ids doesn't exist")
        for one in new.entities:
            if await store.entity(call.core, EntityId(one)) is None:
                raise Malformed("one of the provided entity ids doesn't exist")
        mounts = [mount.entry for mount in self._router.of(call.namespace) if mount.entry.is_auth]
        if not {mount.accessor for mount in mounts}.issuperset(new.accessors):
            raise Malformed("one of the auth method accessors provided is invalid")
        if {*new.types, *(one.kind for one in mounts if one.accessor in new.accessors)} & _ALONE:
            raise Malformed(
                "nhi: workloads have no second factors; bind their tokens to a key, or have them approved"
            )
        if not self._kinds(call).issuperset(new.types):
            raise Malformed("one of the auth method types provided is invalid")
        if not (new.accessors or new.types or new.groups or new.entities):
            raise Malformed(
                "One of auth_method_accessors, auth_method_types, identity_group_ids, identity_entity_ids must "
                "be specified"
            )
        if not new.methods:
            raise Malformed("an enforcement without a method would let nobody in: delete it, or name one")

    def _kinds(self, call: Call) -> set[str]:
        """Return the kinds of auth methods that are mounted in this namespace or below it."""
        tables = self._router.within(call.namespace)
        return {mount.entry.kind for table in tables for mount in table if mount.entry.is_auth}


def _shown(call: Call, one: Enforcement) -> dict[str, Json]:
    return {
        "auth_method_accessors": one.accessors,
        "auth_method_types": one.types,
        "id": one.id,
        "identity_entity_ids": one.entities,
        "identity_group_ids": one.groups,
        "mfa_method_ids": one.methods,
        "name": one.name,
        "namespace_id": call.namespace.id,
        "namespace_path": call.namespace.path,
    }
