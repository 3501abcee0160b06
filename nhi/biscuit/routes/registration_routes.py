# SPDX-License-Identifier: EUPL-1.2
"""`registrations`: what a workload may be issued, on which proof, and its client secret while it still has one."""

from __future__ import annotations

from typing import Final

import msgspec

from nhi.auth.userpass import decoys
from nhi.biscuit.credential.possession import KINDS
from nhi.biscuit.login import client_secrets
from nhi.biscuit.records import attestation, single_use, store, uses
from nhi.biscuit.records.attestation import Attestation
from nhi.biscuit.records.model import LONGEST_TTL, Registration
from nhi.biscuit.routes.params import (
    Names,
    RegistrationInfo,
    RegistrationParams,
    RegistrationPath,
    SecretInfo,
    SecretParams,
)
from vault.framework.call import Call
from vault.framework.clock import Entropy, rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Json
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import delete, list_, read, write
from vault.policy.names import valid_name
from vault.policy.store import PolicyStore
from vault.token.addresses import NoAddress, canonical
from vault.values.times import Millis, millis_after, millis_to_nanos

_DEEPEST: Final = 16
_SECRET_CHARACTERS: Final = 43
"""256 random bits in base 62."""
_HIDDEN: Final = ("token_reviewer_jwt",)


class RegistrationEngine(Engine):
    """The paths of registrations and their client secrets."""

    def __init__(self, entropy: Entropy, policies: PolicyStore) -> None:
        self._entropy = entropy
        self._policies = policies

    @list_("registrations", event="nhi.registration.list")
    async def list_registrations(self, call: Call) -> Names:
        """List the names of all registrations."""
        return await names_in(call, store.REGISTRATIONS)

    @read("registrations/{name:name}", event="nhi.registration.read")
    async def read_registration(self, call: Call, params: RegistrationPath) -> RegistrationInfo:
        """Show a registration."""
        found = await _registration(call, params.name)
        demanded = msgspec.to_builtins(found.attestation)
        return RegistrationInfo(
            name=found.name,
            workload=found.workload,
            policies=found.policies,
            audiences=found.audiences,
            ttl=found.ttl,
            max_ttl=found.max_ttl,
            max_depth=found.max_depth,
            cidrs=found.cidrs,
            pop=found.pop,
            approvers=found.approvers,
            offline=found.offline,
            method=found.method,
            attestation={name: value for name, value in demanded.items() if name not in _HIDDEN},
            has_secret=bool(found.secret_hash),
            secret_origin=client_secrets.origin(found.secret_hash),
            secret_expire_time=rfc3339(millis_to_nanos(found.secret_expires)) if found.secret_expires else "",
        )

    @write("registrations/{name:name}", exists="has_registration", event="nhi.registration.write")
    async def write_registration(self, call: Call, params: RegistrationParams) -> Reply[None] | None:
        """Make a registration, or change what is given of one. Where its method changes, the old one's settings go.

        It warns of policies that are not there: tokens that name one may do nothing by it until it is.
        """
        old = await store.registration(call.tx, params.name)
        params = _complete(call, params, old)
        if await store.workload(call.tx, params.workload) is None:
            raise Malformed("workload: there is none of this name")
        names = [valid_name(name) for name in params.policies]
        if not names or {None, "root", "response-wrapping"} & {*names}:
            raise Malformed("policies: at least one name of a policy, and neither root nor response-wrapping")
        if not 0 < params.ttl <= params.max_ttl:
            raise Malformed("ttl: must be more than 0, and max_ttl no less")
        if params.ttl > LONGEST_TTL:
            raise Malformed(f"ttl: a token lasts {LONGEST_TTL} seconds at most")
        if not 1 <= params.max_depth <= _DEEPEST:
            raise Malformed(f"max_depth: must be from 1 to {_DEEPEST}")
        if not params.audiences:
            raise Malformed("audiences: must name somebody")
        if params.pop not in KINDS:
            raise Malformed("pop: must be mtls or dpop, or nothing")
        await store.approver_keys(call.tx, params.approvers)
        demanded = _demanded(params)
        attestation.check(params.method, demanded)
        new = Registration(
            name=params.name,
            workload=params.workload,
            policies=tuple(sorted({name for name in names if name is not None})),
            audiences=tuple(sorted(set(params.audiences))),
            ttl=params.ttl,
            max_ttl=params.max_ttl,
            max_depth=params.max_depth,
            method=params.method,
            attestation=demanded,
            cidrs=_blocks(params.cidrs),
            pop=params.pop,
            approvers=tuple(sorted(set(params.approvers))),
            offline=params.offline,
            secret_hash=old.secret_hash if old is not None else "",
            secret_expires=old.secret_expires if old is not None else Millis(0),
        )
        await store.put_registration(call.tx, new)
        missing = [one for one in new.policies if await self._policies.get(call.core, one) is None]
        warnings = [
            f'policy "{quote(name)}" does not exist: its tokens may do nothing by it' for name in missing
        ]
        return Reply(warnings=warnings) if warnings else None

    @delete("registrations/{name:name}", event="nhi.registration.delete")
    async def delete_registration(self, call: Call, params: RegistrationPath) -> None:
        """Remove a registration. Tokens that it gave stay good until they end, and are not renewed."""
        await call.tx.delete(store.REGISTRATIONS + params.name)
        await call.tx.delete(store.LOGINS + params.name)
        await call.tx.delete(uses.USES + params.name)
        await call.tx.delete(single_use.FORGOTTEN + params.name)

    @write("registrations/{name:name}/secret", event="nhi.secret.issue")
    async def make_secret(self, call: Call, params: SecretParams) -> SecretInfo:
        """Make a new client secret in place of any other, shown once; or import the hash of one that is in use."""
        found = await _registration(call, params.name)
        secret = "" if params.secret_hash else self._entropy.base62(_SECRET_CHARACTERS)
        changed = msgspec.structs.replace(
            found,
            secret_hash=client_secrets.imported(params.secret_hash)
            if params.secret_hash
            else client_secrets.hashed(secret),
            secret_expires=millis_after(call.now, params.secret_ttl) if params.secret_ttl else 0,
        )
        if params.secret_hash:
            await decoys.learn(call.tx, changed.secret_hash, self._entropy)
        await store.put_registration(call.tx, changed)
        return SecretInfo(found.name, secret)

    @delete("registrations/{name:name}/secret", event="nhi.secret.revoke")
    async def delete_secret(self, call: Call, params: RegistrationPath) -> None:
        """Remove a registration's client secret. The next login with it is refused."""
        found = await _registration(call, params.name)
        changed = msgspec.structs.replace(found, secret_hash="", secret_expires=0)
        await store.put_registration(call.tx, changed)

    async def has_registration(self, call: Call) -> bool:
        """Tell update from create."""
        return await store.registration(call.reader, call.captures["name"]) is not None


async def names_in(call: Call, folder: str) -> Names:
    """Return the names in a folder. Raises `NotFound` where there are none."""
    found = await call.reader.list(folder)
    if not found:
        raise NotFound
    return Names(found)


async def _registration(call: Call, name: str) -> Registration:
    found = await store.registration(call.reader, name)
    if found is None:
        raise NotFound
    return found


def _complete(call: Call, params: RegistrationParams, old: Registration | None) -> RegistrationParams:
    """Return what a registration is to be: what is given, and what is kept of all that is not named."""
    if old is None:
        return msgspec.structs.replace(params, workload=params.workload or params.name)
    kept: dict[str, Json] = {}
    if "method" not in call.data or params.method == old.method:
        claims = {name: list(values) for name, values in old.attestation.bound_claims.items()}
        kept = {**msgspec.structs.asdict(old.attestation), "bound_claims": claims}
        if call.data.keys() & {*attestation.SIGNERS}:
            kept = {name: value for name, value in kept.items() if name not in attestation.SIGNERS}
        if any(name in call.data and getattr(params, name) != kept[name] for name in attestation.CLUSTER):
            del kept[
                "token_reviewer_jwt"
            ]  # or a client that may write but not read it could have it sent to a host of its own
    kept |= {name: getattr(old, name) for name in params.__struct_fields__ if hasattr(old, name)}
    return msgspec.structs.replace(params, **{name: kept[name] for name in kept.keys() - call.data.keys()})


def _demanded(params: RegistrationParams) -> Attestation:
    given = {name: getattr(params, name) for name in Attestation.__struct_fields__ if name != "bound_claims"}
    return Attestation(**given, bound_claims=_claims(params.bound_claims))


def _claims(given: object) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in given.items() if isinstance(given, dict) else ():
        values: list[Json] = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(one, str) for one in values):
            raise Malformed("bound_claims: each must be a text or a list of texts")
        found[name] = tuple(values)
    return found


def _blocks(given: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(canonical(one) for one in given)
    except NoAddress:
        raise Malformed("cidrs: must be addresses, or blocks as 10.0.0.0/8") from None
