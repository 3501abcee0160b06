# SPDX-License-Identifier: EUPL-1.2
"""`identity/oidc/key` and `identity/oidc/role`: what signs identity tokens, and what they are like."""

from __future__ import annotations

from typing import Annotated

import msgspec

from nhi.identity.entities.entity_routes import Keys, own
from nhi.identity.oidc import template
from nhi.identity.oidc.pairs import KeyPairs
from nhi.identity.records import oidc as model
from nhi.identity.records.oidc import NamedKey, Role, named_key, put_key
from nhi.identity.records.provider import clients_of
from nhi.jose.signing_key import ALGORITHMS
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import CommaList, Doc
from vault.framework.quote import quote
from vault.framework.route import Params, delete, list_, read, write
from vault.token.terms import BareSpan
from vault.values.times import Seconds, nanos_after

_MINUTE = 60
_CLIENT_ID = 26


class KeyParams(Params, frozen=True, kw_only=True):
    """A signing key; what is not given stays."""

    name: Annotated[str, Doc("Name of the key.")]
    algorithm: Annotated[
        str | None, Doc("RS256, RS384, RS512, ES256, ES384, ES512 or EdDSA; RS256.", clear=True)
    ] = None
    rotation_period: Annotated[BareSpan | None, Doc("How long a pair signs; 24 hours.", clear=True)] = None
    verification_ttl: Annotated[
        BareSpan | None, Doc("How long it verifies after that; 24 hours.", clear=True)
    ] = None
    allowed_client_ids: Annotated[
        CommaList | None, Doc("Ids of the clients it signs for; * for all.", clear=True)
    ] = None


class KeyName(Params, frozen=True, kw_only=True):
    """Which signing key."""

    name: Annotated[str, Doc("Name of the key.")]


class RotateParams(KeyName, frozen=True, kw_only=True):
    """Which signing key is rotated now."""

    verification_ttl: Annotated[
        BareSpan | None, Doc("How long the pair of until now verifies.", clear=True)
    ] = None


class KeyInfo(msgspec.Struct, frozen=True):
    """What is shown of a signing key."""

    algorithm: str
    allowed_client_ids: tuple[str, ...]
    rotation_period: Seconds
    verification_ttl: Seconds


class RoleParams(Params, frozen=True, kw_only=True):
    """A role; what is not given stays."""

    name: Annotated[str, Doc("Name of the role.")]
    key: Annotated[str | None, Doc("Name of the key that signs.")] = None
    template: Annotated[str | None, Doc("Template of claims: JSON, possibly in base64.")] = None
    client_id: Annotated[str | None, Doc("Audience of the tokens; a random one is made.", clear=True)] = None
    ttl: Annotated[BareSpan | None, Doc("How long tokens are good; 24 hours.", clear=True)] = None


class RoleName(Params, frozen=True, kw_only=True):
    """Which role."""

    name: Annotated[str, Doc("Name of the role.")]


class RoleInfo(msgspec.Struct, frozen=True):
    """What is shown of a role."""

    client_id: str
    key: str
    template: str
    ttl: Seconds


class SigningKeyEngine(Engine):
    """Signing keys and the roles that use them."""

    def __init__(self, pairs: KeyPairs, clock: Clock, entropy: Entropy) -> None:
        self._pairs = pairs
        self._clock = clock
        self._entropy = entropy

    @write("oidc/key/{name:word}", exists="has_key", event="identity.oidc.key.write")
    async def write_key(self, call: Call, params: KeyParams) -> None:
        """Make or change a signing key. Another algorithm begins with other pairs; the old one still verifies."""
        old = await named_key(call.core, params.name)
        key = _changed(old or NamedKey(name=params.name), params)
        for role in await model.roles_of(call.core, key.name):
            if role.ttl > key.verification_ttl:
                raise Malformed(
                    f'unable to update key "{quote(key.name)}" because it is currently referenced by one or more roles '
                    f"with a token ttl greater than {key.verification_ttl} seconds"
                )
        for client in await clients_of(call.core, key.name):
            if client.id_token_ttl > key.verification_ttl:
                raise Malformed(
                    f'unable to update key "{quote(key.name)}" because it is currently referenced by one or more clients '
                    f"with an id_token_ttl greater than {key.verification_ttl} seconds"
                )
        if key.current is None or key.current.algorithm != key.algorithm:
            pairs = self._pairs.take(call, key)
            key = key.with_pairs(*pairs, self._clock.nanos(), key.verification_ttl)
        elif old is not None and key.rotation_period != old.rotation_period:
            rotates = nanos_after(self._clock.nanos(), key.rotation_period)
            key = msgspec.structs.replace(key, rotates=rotates)
        await put_key(call.core, call.namespace.id, key)

    @write("oidc/key/{name:word}/rotate", event="identity.oidc.key.rotate")
    async def rotate_key(self, call: Call, params: RotateParams) -> None:
        """Sign with the next pair from now on."""
        key = await named_key(call.core, params.name)
        if key is None:
            raise Malformed(f'no named key found at "{quote(params.name)}"')
        ttl = key.verification_ttl if params.verification_ttl is None else params.verification_ttl
        pairs = self._pairs.take(call, key, *([] if key.following is None else [key.following]))
        key = key.with_pairs(*pairs, self._clock.nanos(), ttl)
        await put_key(call.core, call.namespace.id, key)

    @read("oidc/key/{name:word}", event="identity.oidc.key.read")
    async def read_key(self, call: Call, params: KeyName) -> KeyInfo:
        """Read a signing key, without its pairs."""
        key = await named_key(own(call), params.name)
        if key is None:
            raise NotFound
        return KeyInfo(key.algorithm, key.allowed_client_ids, key.rotation_period, key.verification_ttl)

    @list_("oidc/key", event="identity.oidc.key.list")
    async def list_keys(self, call: Call) -> Keys:
        """List the names of signing keys."""
        return Keys(await model.key_names(own(call)))

    @delete("oidc/key/{name:word}", event="identity.oidc.key.delete")
    async def delete_key(self, call: Call, params: KeyName) -> None:
        """Remove a signing key that no role and no client uses."""
        if params.name == model.DEFAULT:
            raise Malformed('deletion of key "default" not allowed')
        users = [role.name for role in await model.roles_of(call.core, params.name)]
        if users:
            raise Malformed(
                f'unable to delete key "{quote(params.name)}" because it is currently referenced by these roles: '
                f"{', '.join(map(quote, users))}"
            )
        users = [client.name for client in await clients_of(call.core, params.name)]
        if users:
            raise Malformed(
                f'unable to delete key "{quote(params.name)}" because it is currently referenced by these clients: '
                f"{', '.join(map(quote, users))}"
            )
        await call.core.delete(model.KEYS + params.name)
        await call.core.cancel(model.KEY_KIND, model.timer_key(call.namespace.id, params.name))

    @write("oidc/role/{name:word}", exists="has_role", event="identity.oidc.role.write")
    async def write_role(self, call: Call, params: RoleParams) -> None:
        """Make or change a role."""
        old = await model.role(call.core, params.name)
        name = (old.key if old is not None else "") if params.key is None else params.key
        if not name:
            raise Malformed("the key parameter is required")
        key = await named_key(call.core, name)
        if key is None:
            raise Malformed("cannot find key")
        role = old or Role(name=params.name, key=name, client_id="")
        client_id = role.client_id if params.client_id is None else params.client_id
        role = msgspec.structs.replace(
            role,
            key=name,
            client_id=client_id or self._entropy.base62(_CLIENT_ID),
            template=role.template if params.template is None else template.plain(params.template),
            ttl=role.ttl if params.ttl is None else params.ttl,
        )
        template.check(role.template)
        if role.ttl > key.verification_ttl:
            raise Malformed(
                "a role's token ttl cannot be longer than the verification_ttl of the key it references"
            )
        await self._pairs.ready(call, key)
        await model.put_role(call.core, role)

    @read("oidc/role/{name:word}", event="identity.oidc.role.read")
    async def read_role(self, call: Call, params: RoleName) -> RoleInfo:
        """Read a role."""
        role = await model.role(own(call), params.name)
        if role is None:
            raise NotFound
        return RoleInfo(role.client_id, role.key, role.template, role.ttl)

    @list_("oidc/role", event="identity.oidc.role.list")
    async def list_roles(self, call: Call) -> Keys:
        """List the names of roles."""
        names = await own(call).list(model.ROLES)
        if not names:
            raise NotFound
        return Keys(names)

    @delete("oidc/role/{name:word}", event="identity.oidc.role.delete")
    async def delete_role(self, call: Call, params: RoleName) -> None:
        """Remove a role; tokens that it gave stay good while another has the same key."""
        await call.core.delete(model.ROLES + params.name)

    async def has_key(self, call: Call) -> bool:
        """Tell update from create. The default key is always there."""
        return await named_key(own(call), call.captures["name"]) is not None

    async def has_role(self, call: Call) -> bool:
        """Tell update from create."""
        return await model.role(own(call), call.captures["name"]) is not None


def _changed(key: NamedKey, params: KeyParams) -> NamedKey:
    """Return a key with what was given. Raises `Malformed`."""
    algorithm = key.algorithm if params.algorithm is None else params.algorithm
    period = key.rotation_period if params.rotation_period is None else params.rotation_period
    ttl = key.verification_ttl if params.verification_ttl is None else params.verification_ttl
    if period < _MINUTE:
        raise Malformed("rotation_period must be at least one minute")
    if ttl > 10 * period:
        raise Malformed("verification_ttl cannot be longer than 10x rotation_period")
    if algorithm not in ALGORITHMS:
        raise Malformed("unknown signing algorithm")
    return msgspec.structs.replace(
        key,
        algorithm=algorithm,
        rotation_period=period,
        verification_ttl=ttl,
        allowed_client_ids=(
            key.allowed_client_ids if params.allowed_client_ids is None else params.allowed_client_ids
        ),
    )
