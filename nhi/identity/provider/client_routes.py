# SPDX-License-Identifier: EUPL-1.2
"""`identity/oidc/client`, `assignment`, `scope` and `provider`: who signs people in here, and whom."""

from __future__ import annotations

from typing import Annotated

import msgspec

from nhi.identity.entities.entity_routes import KeyInfo, Keys, own
from nhi.identity.oidc import template
from nhi.identity.oidc.pairs import KeyPairs
from nhi.identity.oidc.token_routes import EXPLICIT_ISSUER, check_issuer
from nhi.identity.records import oidc as tokens
from nhi.identity.records import provider as model
from nhi.identity.records.provider import Assignment, Client, Provider, Scope
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import CommaList, Doc, Json, Span
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, read, write

OPENID = "openid"


class AssignmentParams(Params, frozen=True, kw_only=True):
    """An assignment; what is not given stays."""

    name: Annotated[str, Doc("Name of the assignment.")]
    entity_ids: Annotated[CommaList | None, Doc("Ids of entities.", clear=True)] = None
    group_ids: Annotated[CommaList | None, Doc("Ids of groups.", clear=True)] = None


class ScopeParams(Params, frozen=True, kw_only=True):
    """A scope; what is not given stays."""

    name: Annotated[str, Doc("Name of the scope.")]
    template: Annotated[str | None, Doc("Template of claims: JSON, possibly in base64.")] = None
    description: Annotated[str | None, Doc("What it is for.")] = None


class ClientParams(Params, frozen=True, kw_only=True):
    """A client; what is not given stays."""

    name: Annotated[str, Doc("Name of the client.")]
    redirect_uris: Annotated[CommaList | None, Doc("Where people may be sent back to.")] = None
    assignments: Annotated[
        CommaList | None, Doc("Names of the assignments that may sign in.", clear=True)
    ] = None
    key: Annotated[str | None, Doc("Name of the signing key; it cannot be changed.")] = None
    id_token_ttl: Annotated[Span | None, Doc("How long identity tokens are good; 24 hours.", clear=True)] = (
        None
    )
    access_token_ttl: Annotated[
        Span | None, Doc("How long access tokens are good; 24 hours.", clear=True)
    ] = None
    client_type: Annotated[str | None, Doc("confidential or public; it cannot be changed.", clear=True)] = (
        None
    )
    authorization_code: Annotated[bool | None, Doc("Whether people may sign in.", clear=True)] = None
    client_credentials: Annotated[bool | None, Doc("Whether the client may sign in itself.", clear=True)] = (
        None
    )


class ProviderParams(Params, frozen=True, kw_only=True):
    """A provider; what is not given stays."""

    name: Annotated[str, Doc("Name of the provider.")]
    issuer: Annotated[str | None, Doc("Scheme, host and port of the issuer; api_addr if it is empty.")] = None
    allowed_client_ids: Annotated[CommaList | None, Doc("Ids of its clients; * for all.", clear=True)] = None
    scopes_supported: Annotated[CommaList | None, Doc("Names of the scopes that it knows.", clear=True)] = (
        None
    )


class NamePath(Params, frozen=True, kw_only=True):
    """Which assignment, client, scope or provider, by its name."""

    name: Annotated[str, Doc("Its name.")]


class ClientEngine(Engine):
    """Clients, and what they may ask for."""

    def __init__(self, pairs: KeyPairs, entropy: Entropy) -> None:
        self._pairs = pairs
        self._entropy = entropy

    @write("oidc/assignment/{name:word}", exists="has_assignment", event="identity.oidc.assignment.write")
    async def write_assignment(self, call: Call, params: AssignmentParams) -> None:
        """Make or change an assignment."""
        if params.name == model.ALL:
            raise Malformed(f'modification of assignment "{quote(params.name)}" not allowed')
        old = await model.assignment(call.core, params.name) or Assignment(name=params.name)
        entities = old.entities if params.entity_ids is None else params.entity_ids
        groups = old.groups if params.group_ids is None else params.group_ids
        await model.put(call.core, Assignment(name=params.name, entities=entities, groups=groups))

    @read("oidc/assignment/{name:word}", event="identity.oidc.assignment.read")
    async def read_assignment(self, call: Call, params: NamePath) -> dict[str, Json]:
        """Read an assignment."""
        found = await model.assignment(own(call), params.name)
        if found is None:
            raise NotFound
        return {"entity_ids": found.entities, "group_ids": found.groups}

    @list_("oidc/assignment", event="identity.oidc.assignment.list")
    async def list_assignments(self, call: Call) -> Keys:
        """List the names of assignments."""
        return Keys(sorted({model.ALL, *await own(call).list(model.ASSIGNMENTS)}))

    @delete("oidc/assignment/{name:word}", event="identity.oidc.assignment.delete")
    async def delete_assignment(self, call: Call, params: NamePath) -> None:
        """Remove an assignment that no client uses."""
        if params.name == model.ALL:
            raise Malformed(f'deletion of assignment "{quote(params.name)}" not allowed')
        users = [one.name for one in await model.clients(call.core) if params.name in one.assignments]
        _unused("assignment", params.name, "clients", users)
        await call.core.delete(model.ASSIGNMENTS + params.name)

    @write("oidc/scope/{name:word}", exists="has_scope", event="identity.oidc.scope.write")
    async def write_scope(self, call: Call, params: ScopeParams) -> None:
        """Make or change a scope."""
        if params.name == OPENID:
            raise Malformed(f'the "{OPENID}" scope name is reserved')
        old = await model.scope(call.core, params.name) or Scope(name=params.name)
        text = old.template if params.template is None else template.plain(params.template)
        template.check(text)
        description = old.description if params.description is None else params.description
        await model.put(call.core, Scope(name=params.name, description=description, template=text))

    @read("oidc/scope/{name:word}", event="identity.oidc.scope.read")
    async def read_scope(self, call: Call, params: NamePath) -> dict[str, Json]:
        """Read a scope."""
        found = await model.scope(own(call), params.name)
        if found is None:
            raise NotFound
        return {"description": found.description, "template": found.template}

    @list_("oidc/scope", event="identity.oidc.scope.list")
    async def list_scopes(self, call: Call) -> Keys:
        """List the names of scopes."""
        names = await own(call).list(model.SCOPES)
        if not names:
            raise NotFound
        return Keys(names)

    @delete("oidc/scope/{name:word}", event="identity.oidc.scope.delete")
    async def delete_scope(self, call: Call, params: NamePath) -> None:
        """Remove a scope that no provider knows."""
        users = [one.name for one in await model.providers(call.core) if params.name in one.scopes]
        _unused("scope", params.name, "providers", users)
        await call.core.delete(model.SCOPES + params.name)

    @write("oidc/client/{name:word}", exists="has_client", event="identity.oidc.client.write")
    async def write_client(self, call: Call, params: ClientParams) -> None:
        """Make or change a client. Id and secret are made with it."""
        old = await model.client(call.core, params.name)
        await self._fits(call, params, old)
        client = old or Client(
            name=params.name,
            client_id=self._entropy.base62(32),
            secret=f"hvo_secret_{self._entropy.base62(64)}" if params.client_type != "public" else "",
            key=tokens.DEFAULT if params.key is None else params.key,
            public=params.client_type == "public",
        )
        given = {
            name: sorted_(value) if name in {"redirect_uris", "assignments"} else value
            for name in (
                "redirect_uris",
                "assignments",
                "id_token_ttl",
                "access_token_ttl",
                "authorization_code",
                "client_credentials",
            )
            if (value := getattr(params, name)) is not None
        }
        client = msgspec.structs.replace(client, **given)
        key = await tokens.named_key(call.core, client.key)
        if key is None:
            raise Malformed("key does not exist")
        if client.id_token_ttl > key.verification_ttl:
            raise Malformed(
                "a client's id_token_ttl cannot be greater than the verification_ttl of the key it references"
            )
        if client.public and client.client_credentials:
            raise Malformed("client_credentials=true is only allowed for client_type=confidential")
        await self._pairs.ready(call, key)
        await model.put(call.core, client)

    async def _fits(self, call: Call, params: ClientParams, old: Client | None) -> None:
        """Refuse what a client cannot be, or become. Raises `Malformed`."""
        kind = "public" if old is not None and old.public else "confidential"
        if old is not None and params.client_type not in {None, kind}:
            raise Malformed("client_type modification is not allowed")
        if params.client_type not in {None, "confidential", "public"}:
            raise Malformed("invalid client_type")
        if old is not None and params.key not in {None, old.key}:
            raise Malformed("key modification is not allowed")
        for name in params.assignments or ():
            if await model.assignment(call.core, name) is None:
                raise Malformed("an assignment does not exist")

    @read("oidc/client/{name:word}", event="identity.oidc.client.read")
    async def read_client(self, call: Call, params: NamePath) -> dict[str, Json]:
        """Read a client, with its secret."""
        found = await model.client(own(call), params.name)
        if found is None:
            raise NotFound
        return _client(found) | ({} if found.public else {"client_secret": found.secret})

    @list_("oidc/client", event="identity.oidc.client.list")
    async def list_clients(self, call: Call) -> KeyInfo:
        """List clients by name, with what they are."""
        found = {one.name: _client(one) for one in await model.clients(own(call))}
        if not found:
            raise NotFound
        return KeyInfo(found, list(found))

    @delete("oidc/client/{name:word}", event="identity.oidc.client.delete")
    async def delete_client(self, call: Call, params: NamePath) -> None:
        """Remove a client; it gets nothing any more."""
        found = await model.client(call.core, params.name)
        if found is not None:
            await model.delete_client(call.core, found)

    @write("oidc/provider/{name:word}", exists="has_provider", event="identity.oidc.provider.write")
    async def write_provider(self, call: Call, params: ProviderParams) -> Reply[None] | None:
        """Make or change a provider."""
        old = await model.provider(call.core, params.name) or Provider(name=params.name)
        if params.issuer:
            check_issuer(params.issuer)
        for name in params.scopes_supported or ():
            if await model.scope(call.core, name) is None:
                raise Malformed("a scope does not exist")
        given: dict[str, Json] = {
            "issuer": params.issuer,
            "allowed_client_ids": params.allowed_client_ids,
            "scopes": params.scopes_supported,
        }
        changed = {name: value for name, value in given.items() if value is not None}
        new = msgspec.structs.replace(old, **changed)
        await model.put(call.core, new)
        return Reply(warnings=[EXPLICIT_ISSUER]) if new.issuer else None

    @delete("oidc/provider/{name:word}", event="identity.oidc.provider.delete")
    async def delete_provider(self, call: Call, params: NamePath) -> None:
        """Remove a provider."""
        if params.name == tokens.DEFAULT:
            raise Malformed(f'deletion of OIDC provider "{quote(params.name)}" not allowed')
        await call.core.delete(model.PROVIDERS + params.name)

    async def has_assignment(self, call: Call) -> bool:
        """Tell update from create. The one for everybody is always there."""
        return await model.assignment(own(call), call.captures["name"]) is not None

    async def has_scope(self, call: Call) -> bool:
        """Tell update from create."""
        return await model.scope(own(call), call.captures["name"]) is not None

    async def has_client(self, call: Call) -> bool:
        """Tell update from create."""
        return await model.client(own(call), call.captures["name"]) is not None

    async def has_provider(self, call: Call) -> bool:
        """Tell update from create. The default one is always there."""
        return await model.provider(own(call), call.captures["name"]) is not None


def sorted_(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names once each, sorted."""
    return tuple(sorted(set(names)))


def _unused(what: str, name: str, whose: str, users: list[str]) -> None:
    if users:
        raise Malformed(
            f'unable to delete {what} "{quote(name)}" because it is currently referenced by these {whose}: '
            f"{', '.join(map(quote, users))}"
        )


def _client(client: Client) -> dict[str, Json]:
    return {
        "access_token_ttl": client.access_token_ttl,
        "assignments": client.assignments,
        "authorization_code": client.authorization_code,
        "client_credentials": client.client_credentials,
        "client_id": client.client_id,
        "client_type": "public" if client.public else "confidential",
        "id_token_ttl": client.id_token_ttl,
        "key": client.key,
        "redirect_uris": client.redirect_uris,
    }
