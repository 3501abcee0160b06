# SPDX-License-Identifier: EUPL-1.2
"""What is kept of the provider: who may sign in where, and the codes in between. Durations in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from nhi.identity.records.names import hashed, hashed_name
from vault.barrier.stored import RecordKind, text
from vault.barrier.view import ReadView, View
from vault.values.ids import EntityId, NamespaceId
from vault.values.times import DAY, Nanos, Seconds

ASSIGNMENTS: Final = "identity/oidc/assignment/"
SCOPES: Final = "identity/oidc/scope/"
CLIENTS: Final = "identity/oidc/client/"
PROVIDERS: Final = "identity/oidc/provider/"
_CLIENT_IDS: Final = "identity/oidc/client-id/"
_CODES: Final = "identity/oidc/code/"
CODE_KIND: Final = "identity-code"
"""Kind of the timer at which a code is forgotten; its key is namespace id and where the code lies."""
CODE_LIFE: Final = Seconds(300)
"""How long a code is good; OAuth 2.0 (RFC 6749) section 4.1.2 allows ten minutes at most."""
ALL: Final = "allow_all"


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """Entities and groups; `*` for all."""

    name: str
    entities: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Claims that a client can ask for."""

    name: str
    description: str = ""
    template: str = ""


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A system that signs people in."""

    name: str
    client_id: str
    secret: str
    key: str
    public: bool = False
    redirect_uris: tuple[str, ...] = ()
    assignments: tuple[str, ...] = ()
    id_token_ttl: Seconds = DAY
    access_token_ttl: Seconds = DAY
    authorization_code: bool = True
    client_credentials: bool = False

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"<Client {self.name}>"


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer of its own, for some of the clients."""

    name: str
    issuer: str = ""
    allowed_client_ids: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    def allows(self, client_id: str) -> bool:
        """Whether a client may ask this provider."""
        return "*" in self.allowed_client_ids or client_id in self.allowed_client_ids


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A user's consent, to be redeemed once by the client that it is for. `expires` in nanoseconds."""

    provider: str
    client_id: str
    redirect_uri: str
    entity: EntityId
    scopes: tuple[str, ...]
    expires: Nanos
    nonce: str = ""
    challenge: str = ""
    method: str = ""
    auth_time: Seconds = Seconds(0)


_ASSIGNMENT: Final = RecordKind("OIDC assignment", Assignment)
_SCOPE: Final = RecordKind("OIDC scope", Scope)
_CLIENT: Final = RecordKind("OIDC client", Client)
_PROVIDER: Final = RecordKind("OIDC provider", Provider)
_CODE: Final = RecordKind("OIDC code", Code)
_PLACES: Final[Mapping[type, tuple[str, RecordKind[Any]]]] = {
    Assignment: (ASSIGNMENTS, _ASSIGNMENT),
    Scope: (SCOPES, _SCOPE),
    Provider: (PROVIDERS, _PROVIDER),
    Client: (CLIENTS, _CLIENT),
}


async def assignment(core: ReadView, name: str) -> Assignment | None:
    """Return an assignment; the one for everybody is always there."""
    if name == ALL:
        return Assignment(name=ALL, entities=("*",), groups=("*",))
    value = await core.get(ASSIGNMENTS + name)
    return _ASSIGNMENT.decode(value) if value is not None else None


async def scope(core: ReadView, name: str) -> Scope | None:
    """Return a scope."""
    value = await core.get(SCOPES + name)
    return _SCOPE.decode(value) if value is not None else None


async def client(core: ReadView, name: str) -> Client | None:
    """Return a client by its name."""
    value = await core.get(CLIENTS + name)
    return _CLIENT.decode(value) if value is not None else None


async def clients(core: ReadView) -> list[Client]:
    """Return all clients, by name."""
    found = [await client(core, name) for name in await core.list(CLIENTS)]
    return [one for one in found if one is not None]


async def clients_of(core: ReadView, key: str) -> list[Client]:
    """Return the clients whose identity tokens a key signs."""
    return [one for one in await clients(core) if one.key == key]


async def client_by_id(core: ReadView, client_id: str) -> Client | None:
    """Return a client by its id."""
    value = await core.get(_CLIENT_IDS + hashed_name(client_id))
    found = await client(core, value.decode()) if value is not None else None
    return found if found is not None and found.client_id == client_id else None


async def provider(core: ReadView, name: str) -> Provider | None:
    """Return a provider; the default one is always there."""
    value = await core.get(PROVIDERS + name)
    if value is not None:
        return _PROVIDER.decode(value)
    return Provider(name=name, allowed_client_ids=("*",)) if name == "default" else None


async def providers(core: ReadView) -> list[Provider]:
    """Return all providers, by name."""
    names = sorted({"default", *await core.list(PROVIDERS)})
    found = [await provider(core, name) for name in names]
    return [one for one in found if one is not None]


async def put(core: View, new: Assignment | Scope | Provider | Client) -> None:
    """Write one of them."""
    place, kind = _PLACES[type(new)]
    await core.put(place + new.name, kind.encode(new))
    if isinstance(new, Client):
        await core.put(_CLIENT_IDS + hashed_name(new.client_id), text(new.name))


async def delete_client(core: View, old: Client) -> None:
    """Remove a client."""
    await core.delete(CLIENTS + old.name)
    await core.delete(_CLIENT_IDS + hashed_name(old.client_id))


async def put_code(core: View, code: str, new: Code) -> None:
    """Keep a code."""
    await core.put(_CODES + hashed(code), _CODE.encode(new))


async def code(core: ReadView, text: str) -> Code | None:
    """Return what a code stands for."""
    value = await core.get(_CODES + hashed(text))
    return _CODE.decode(value) if value is not None else None


async def delete_code(core: View, text: str) -> None:
    """Forget a code."""
    await core.delete(_CODES + hashed(text))


async def forget_code(core: View, key: str) -> None:
    """Forget a code that was not redeemed, when its timer comes."""
    namespace_id, _, place = key.partition(":")
    await core.space(NamespaceId(namespace_id)).delete(_CODES + place)
