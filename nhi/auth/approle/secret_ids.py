# SPDX-License-Identifier: EUPL-1.2
"""Secret ids: made, listed, looked up and destroyed, by themselves or by accessor, each through its own role (SL-13)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

import msgspec

from nhi.auth.approle import store
from nhi.auth.approle.model import (
    NEVER,
    AccessorList,
    AccessorParams,
    AccessorQuery,
    CreatedSecretId,
    CustomSecretId,
    NewSecretId,
    NotFoundNotice,
    Role,
    SecretId,
    SecretIdInfo,
    SecretIdParams,
    SecretIdQuery,
)
from nhi.auth.approle.roles import checked
from nhi.records import Keys
from vault.barrier.view import ReadView
from vault.framework import schema
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy, rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Forbidden, Malformed, NotFound
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import delete, list_, write
from vault.token.addresses import covers
from vault.values.ids import SecretIdAccessor
from vault.values.times import Nanos, Seconds, nanos_after

_UNREADABLE: Final = "failed to parse metadata: failed to parse the input: invalid <key,value> format"
_TIDYING: Final = (
    "Tidy operation successfully started. Any information from the operation will be printed to "
    "OpenBao's server logs."
)


class SecretIdEngine(Engine):
    """The paths of the secret ids of roles."""

    def __init__(self, clock: Clock, entropy: Entropy, longest: Seconds) -> None:
        """`longest` is the server's longest TTL in seconds."""
        self._clock = clock
        self._entropy = entropy
        self._longest = longest

    @write("role/{role_name:word}/secret-id", event="approle.secret_id.issue")
    async def generate(self, call: Call, params: NewSecretId) -> Reply[CreatedSecretId]:
        """Make a random secret id. It is shown this once."""
        return await self._make(call, params, "")

    @write("role/{role_name:word}/custom-secret-id", event="approle.secret_id.issue")
    async def register(self, call: Call, params: CustomSecretId) -> Reply[CreatedSecretId]:
        """Register a secret id that the caller brings."""
        if not params.secret_id:
            raise Malformed("missing secret_id")
        return await self._make(call, params, params.secret_id)

    @list_("role/{role_name:word}/secret-id", event="approle.secret_id.list")
    async def list_accessors(self, call: Call, params: AccessorList) -> Keys:
        """List the accessors of a role's secret ids, in their order."""
        role = await store.role(call.reader, params.role_name)
        if role is None:
            raise Malformed(_no_role(params.role_name))
        now = self._clock.nanos()
        alive = [secret.accessor async for _, secret in store.secrets(call.reader, role) if secret.alive(now)]
        found = sorted(accessor for accessor in alive if accessor > params.after)
        if params.limit > 0:
            found = found[: params.limit]
        if not found:
            raise NotFound
        return Keys(found)

    @write("role/{role_name:word}/secret-id/lookup", writes=False, event="approle.secret_id.lookup")
    async def look_up(self, call: Call, params: SecretIdQuery) -> SecretIdInfo | None:
        """Show what is known of a secret id; nothing where there is none."""
        if not params.secret_id:
            raise Malformed("missing secret_id")
        role = await _role(call.reader, params.role_name)
        name = await store.digest(call.reader, "secret-id", params.secret_id)
        return self._info(await store.secret(call.reader, role, name), usage=params.usage)

    @write(
        "role/{role_name:word}/secret-id-accessor/lookup",
        writes=False,
        asks=True,
        event="approle.secret_id.lookup",
    )
    async def look_up_accessor(
        self, call: Call, params: AccessorQuery
    ) -> Reply[NotFoundNotice] | SecretIdInfo | None:
        """Show what is known of a secret id by its accessor; nothing where it is another role's."""
        if not params.secret_id_accessor:
            raise Malformed("missing secret_id_accessor")
        role = await _role(call.reader, params.role_name)
        place = await store.place(call.reader, SecretIdAccessor(params.secret_id_accessor))
        if place is None:
            return Reply(NotFoundNotice("failed to find accessor entry for secret_id_accessor"), status=404)
        if place.uid != role.uid:
            return None
        return self._info(await store.secret(call.reader, role, place.digest), usage=params.usage)

    @write("role/{role_name:word}/secret-id/destroy", event="approle.secret_id.revoke")
    async def destroy(self, call: Call, params: SecretIdParams) -> None:
        """Destroy a secret id; nothing happens where there is none."""
        await _destroy(call, params)

    @delete("role/{role_name:word}/secret-id/destroy", event="approle.secret_id.revoke")
    async def destroy_by_delete(self, call: Call, params: SecretIdParams) -> None:
        """Destroy a secret id; nothing happens where there is none."""
        await _destroy(call, params)

    @write("role/{role_name:word}/secret-id-accessor/destroy", event="approle.secret_id.revoke")
    async def destroy_accessor(self, call: Call, params: AccessorParams) -> None:
        """Destroy a secret id by its accessor, through its own role alone."""
        await _destroy_accessor(call, params)

    @delete("role/{role_name:word}/secret-id-accessor/destroy", event="approle.secret_id.revoke")
    async def destroy_accessor_by_delete(self, call: Call, params: AccessorParams) -> None:
        """Destroy a secret id by its accessor, through its own role alone."""
        await _destroy_accessor(call, params)

    @write("tidy/secret-id", event="approle.secret_id.tidy")
    async def tidy(self, call: Call) -> Reply[None]:
        """Remove the secret ids that have ended, without waiting for their timers."""
        now = self._clock.nanos()
        for name in await call.tx.list(store.ROLES):
            role = await store.role(call.tx, name)
            if role is not None:
                ended = [item async for item in store.secrets(call.tx, role) if not item[1].alive(now)]
                for digest, secret in ended:
                    await store.delete_secret(call, role, digest, secret)
        return Reply(warnings=[_TIDYING], status=202, unended=True)

    async def _make(self, call: Call, params: NewSecretId, brought: str) -> Reply[CreatedSecretId]:
        role = await store.role(call.tx, params.role_name)
        if role is None:
            raise NotFound(_no_role(params.role_name))
        if not role.bind_secret_id:
            raise Malformed("bind_secret_id is not set on the role")
        uses, ttl = _uses(params, role), self._ttl(call, params, role)
        cidrs = _blocks(params.cidr_list, role.secret_id_bound_cidrs, "CIDR blocks")
        token_cidrs = _blocks(params.token_bound_cidrs, role.terms.bound_cidrs, "token CIDR blocks")
        metadata = read_metadata(params.metadata)
        secret_id = brought or self._entropy.uuid()
        digest = await store.digest(call.tx, "secret-id", secret_id)
        now = self._clock.nanos()
        taken = await store.secret(call.tx, role, digest)
        if taken is not None and taken.alive(now):
            raise Malformed("failed to store secret_id: SecretID is already registered", chained=True)
        if taken is not None:
            await store.delete_secret(call, role, digest, taken)
        new = SecretId(
            accessor=SecretIdAccessor(self._entropy.uuid()),
            created=now,
            updated=now,
            expires=nanos_after(now, ttl) if ttl else Nanos(0),
            ttl=ttl,
            uses=uses,
            metadata=metadata,
            cidrs=cidrs,
            token_cidrs=token_cidrs,
        )
        await store.put_secret(call, role, digest, new)
        return Reply(CreatedSecretId(secret_id, new.accessor, uses, ttl))

    def _ttl(self, call: Call, params: NewSecretId, role: Role) -> Seconds:
        wanted = role.secret_id_ttl if params.ttl is None else params.ttl
        if role.secret_id_ttl and not 0 < wanted <= role.secret_id_ttl:
            raise Malformed("ttl cannot be longer than the role's secret_id_ttl")
        return min(wanted, call.mount.max_ttl or self._longest)

    def _info(self, secret: SecretId | None, *, usage: bool) -> SecretIdInfo | None:
        if secret is None or not secret.alive(self._clock.nanos()):
            return None
        found = SecretIdInfo(
            cidr_list=secret.cidrs,
            creation_time=rfc3339(secret.created),
            expiration_time=rfc3339(secret.expires) if secret.expires else NEVER,
            last_updated_time=rfc3339(secret.updated),
            metadata=secret.metadata,
            secret_id_accessor=secret.accessor,
            secret_id_num_uses=secret.uses,
            secret_id_ttl=secret.ttl,
            token_bound_cidrs=secret.token_cidrs,
        )
        return msgspec.structs.replace(found, **secret.usage.shown()) if usage else found


async def _role(view: ReadView, name: str) -> Role:
    role = await store.role(view, name)
    if role is None:
        raise NotFound(_no_role(name), chained=True)
    return role


def _no_role(name: str) -> str:
    return f'role "{quote(name)}" does not exist'


async def _destroy(call: Call, params: SecretIdParams) -> None:
    if not params.secret_id:
        raise Malformed("missing secret_id")
    role = await _role(call.tx, params.role_name)
    digest = await store.digest(call.tx, "secret-id", params.secret_id)
    secret = await store.secret(call.tx, role, digest)
    if secret is not None:
        await store.delete_secret(call, role, digest, secret)


async def _destroy_accessor(call: Call, params: AccessorParams) -> None:
    if not params.secret_id_accessor:
        raise Malformed("missing secret_id_accessor")
    role = await _role(call.tx, params.role_name)
    place = await store.place(call.tx, SecretIdAccessor(params.secret_id_accessor))
    if place is None:
        raise Malformed("failed to find accessor entry for secret_id_accessor", chained=True)
    secret = await store.secret(call.tx, role, place.digest)
    if place.uid != role.uid or secret is None:
        raise Forbidden("invalid secret id accessor", chained=False)
    await store.delete_secret(call, role, place.digest, secret)


def _uses(params: NewSecretId, role: Role) -> int:
    wanted = role.secret_id_num_uses if params.num_uses is None else params.num_uses
    if wanted < 0:
        raise Malformed("num_uses cannot be negative")
    if role.secret_id_num_uses and not 0 < wanted <= role.secret_id_num_uses:
        raise Malformed("num_uses cannot be higher than the role's secret_id_num_uses")
    return wanted


def _blocks(given: tuple[str, ...] | None, around: tuple[str, ...] | None, what: str) -> tuple[str, ...]:
    blocks = checked(given or (), what)
    if around and blocks and not covers(around, blocks):
        raise Malformed(
            "failed to verify subset relationship between CIDR blocks on the role and CIDR blocks on the secret ID",
            chained=True,
        )
    return blocks


def read_metadata(text: str) -> Mapping[str, str]:
    """Read metadata: a JSON object of strings, plain or in base64, or `key=value,…`. Raises `Malformed`."""
    if not text:
        return {}
    pairs = _object(text)
    if pairs is None:
        pairs = {}
        for part in text.split(","):
            key, equals, value = part.partition("=")
            if not equals or not key.strip():
                raise Malformed(_UNREADABLE)
            pairs[key.strip()] = value.strip()
    if not all(pairs.values()):
        raise Malformed("failed to parse metadata: invalid value for a key: it is empty")
    return pairs


def _object(text: str) -> dict[str, str] | None:
    """Return a JSON object of strings, or None where the text is nothing of the sort."""
    try:
        body = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        body = text.encode()
    try:
        found = schema.decode_object(body) if body.lstrip()[:1] == b"{" else None
    except Malformed:
        return None
    if found is None or not all(isinstance(value, str) for value in found.values()):
        return None
    return dict(found)
