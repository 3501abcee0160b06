# SPDX-License-Identifier: EUPL-1.2
"""Making a token: which policies, which lifetime, and what the caller may not ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from vault.engines.token.model import CreateToken
from vault.framework.call import Call, Identity, Reply
from vault.framework.clock import Clock
from vault.framework.errors import Malformed, Unauthenticated
from vault.framework.fields import Mismatch, parse_duration
from vault.policy.names import valid_name
from vault.policy.store import PolicyStore
from vault.token.batch import BatchTokens
from vault.token.issue import to_auth
from vault.token.lifetime import Lifetime, Limits, first_lifetime
from vault.token.model import TokenEntry
from vault.token.store import TokenStore

_SECOND = 1_000_000_000
_CUSTOM_ID = (
    "Supplying a custom ID for the token uses the weaker SHA1 hashing instead of the more secure SHA2-256 HMAC "
    "for token obfuscation. SHA1 hashed tokens on the wire leads to less secure lookups."
)
_NAME = re.compile(r"[^a-zA-Z0-9-]")


def limits_of(call: Call, system: Limits) -> Limits:
    """Return the lifetimes of the mount that a call came through."""
    longest = call.mount.max_ttl or system.longest
    return Limits(min(call.mount.default_ttl or system.default, longest), longest)


class Maker:
    """Makes tokens for callers."""

    def __init__(
        self, tokens: TokenStore, batch: BatchTokens, policies: PolicyStore, clock: Clock, limits: Limits
    ) -> None:
        self._batch = batch
        self._tokens = tokens
        self._policies = policies
        self._clock = clock
        self._limits = limits

    async def make(self, call: Call, params: CreateToken, *, orphan: bool) -> Reply[None]:
        """Make a token and store it. Raises `Malformed` for what cannot be, or not by this caller."""
        caller = call.identity
        if caller is None:
            raise Unauthenticated
        if caller.kind == "batch":
            raise Malformed("batch tokens cannot create more tokens")
        if caller.uses:
            raise Malformed("restricted use token cannot generate child tokens")
        privileged = call.decision is not None and (call.decision.sudo or call.decision.root)
        inherits = caller.namespace.id == call.namespace.id
        if not inherits and not privileged:
            raise Malformed(
                "root or sudo privileges required to directly generate a token in a child namespace"
            )
        _check_kind(params)
        _check_privileges(params, privileged=privileged)
        if params.id and call.namespace.path:
            raise Malformed("token IDs can only be manually specified in the root namespace")
        ttl = _seconds("ttl", params.ttl or params.lease)
        explicit_max = _seconds("explicit_max_ttl", params.explicit_max_ttl)
        period = _seconds("period", params.period)
        batch = params.type == "batch"
        if batch:
            _check_batch({"explicit_max_ttl": explicit_max, "num_uses": params.num_uses, "period": period})
        policies = choose_policies(params, caller, privileged=privileged, inherits=inherits)
        limits = limits_of(call, self._limits)
        warnings = [_CUSTOM_ID] if params.id else []
        if batch and "root" in policies:
            raise Malformed("batch tokens cannot be root tokens")
        rootly = "root" in policies and not (ttl or period)
        immortal = rootly and not explicit_max
        if immortal and caller.expires:
            raise Malformed("expiring root tokens cannot create non-expiring root tokens")
        life = Lifetime(explicit_max) if rootly else first_lifetime(ttl, period, explicit_max, limits)
        now = self._clock.nanos()
        if batch:
            now -= now % _SECOND
        entry = TokenEntry(
            accessor="" if batch else self._tokens.new_accessor(call.namespace),
            policies=policies,
            path=f"auth/token/{call.local}",
            display_name=_display_name(params.display_name),
            created=now,
            parent="" if orphan or params.no_parent else caller.key,
            metadata=dict(params.meta) if params.meta else None,
            uses=params.num_uses,
            granted_uses=params.num_uses,
            ttl=life.ttl,
            explicit_max_ttl=explicit_max,
            period=period,
            renewable=params.renewable and not immortal and not batch,
            expires=0 if immortal else now + life.ttl * _SECOND,
            orphan=orphan or params.no_parent,
        )
        if batch:
            token = self._batch.make(call.namespace, entry)
        else:
            token = await self._store(call, params.id, entry)
        warnings += [*life.warnings, *await self._unknown(call, policies)]
        auth = to_auth(entry, token, entry.ttl, kind="batch" if batch else "service")
        return Reply(auth=auth, warnings=warnings, display_name=entry.display_name)

    async def _store(self, call: Call, wanted: str, entry: TokenEntry) -> str:
        token = wanted or self._tokens.new_token(call.namespace)
        if wanted and await self._tokens.get(call.core, self._tokens.key(wanted)) is not None:
            raise Malformed("cannot create a token with a duplicate ID")
        await self._tokens.create(call.core, token, entry)
        return token

    async def _unknown(self, call: Call, policies: Sequence[str]) -> Sequence[str]:
        return [
            f'Policy "{name}" does not exist'
            for name in policies
            if name not in {"root", "default"} and await self._policies.get(call.core, name) is None
        ]


def _check_kind(params: CreateToken) -> None:
    if params.type not in {"", "service", "batch"}:
        raise Malformed("invalid 'token_type' value")
    if params.num_uses < 0:
        raise Malformed("number of uses cannot be negative")
    if params.entity_alias:
        raise Malformed("'entity_alias' is only allowed in combination with token role")


def _check_batch(limits: Mapping[str, int]) -> None:
    for name, value in limits.items():
        if value:
            raise Malformed(f'batch tokens cannot have "{name}" set')


def _check_privileges(params: CreateToken, *, privileged: bool) -> None:
    if not privileged:
        if params.id:
            raise Malformed("root or sudo privileges required to specify token id")
        if params.no_parent:
            raise Malformed("root or sudo privileges required to create orphan token")
        if params.period:
            raise Malformed("root or sudo privileges required to create periodic token")
    if params.id.startswith("s."):
        raise Malformed("custom token ID cannot have the 's.' prefix")
    if "." in params.id:
        raise Malformed("custom token ID cannot have a '.' in the value")


def _seconds(name: str, text: str) -> int:
    if not text:
        return 0
    try:
        seconds = parse_duration(text)
    except Mismatch as mismatch:
        raise Malformed(str(mismatch)) from None
    if seconds < 0:
        raise Malformed(f"{name} must be positive")
    return seconds


def choose_policies(
    params: CreateToken, caller: Identity, *, privileged: bool, inherits: bool = True
) -> tuple[str, ...]:
    """Return the policies of the new token, normalised before they are judged (SL-11).

    `inherits`: the caller's policies are of the namespace that the token is made in. Those of a parent mean
    nothing in it.
    """
    given = params.policies or ()
    if not given:
        wanted = set(caller.policies) if inherits else {"default"}
    else:
        wanted = set()
        for name in given:
            normal = valid_name(name)
            if normal is None:
                if not name.strip():
                    continue
                raise Malformed("policies: every name must be printable, without dot segments")
            wanted.add(normal)
    if "response-wrapping" in wanted:
        raise Malformed('cannot assign policy "response-wrapping"')
    held = set(caller.policies) if inherits else set()
    if given and not privileged and not wanted <= held:
        raise Malformed("child policies must be subset of parent")
    if "root" in wanted:
        if not inherits:
            raise Malformed("root tokens may not be created from a parent namespace")
        if "root" not in held:
            raise Malformed("root tokens may not be created without parent token being root")
        return ("root",)
    if params.no_default_policy:
        wanted.discard("default")
    elif given and (privileged or "default" in held):
        wanted.add("default")
    return tuple(sorted(wanted))


def _display_name(wanted: str) -> str:
    name = _NAME.sub("-", wanted).rstrip("-")
    return f"token-{name}" if name else "token"
