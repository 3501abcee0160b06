# SPDX-License-Identifier: EUPL-1.2
"""`sys/policies/acl` and the older `sys/policy`: the ACL policies of a namespace."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, View
from vault.engines.system.policies.params import (
    LegacyPolicyNames,
    LegacyPolicyWrite,
    PolicyDetails,
    PolicyName,
    PolicyNames,
    PolicyPrefix,
    PolicyView,
    PolicyWrite,
    check_version,
    end,
    view,
)
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.names import scan_order
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import delete, list_, patch, read, write
from vault.policy.builtin import ROOT
from vault.policy.model import PolicyError
from vault.policy.names import normalise, valid_name
from vault.policy.store import BUILT_IN, POLICY_KIND, PolicyEntry, PolicyStore, policy_key
from vault.storage.protocol import Timer
from vault.token.authenticator import core_reader
from vault.values.ids import NamespaceId
from vault.values.times import Nanos, nanos_to_millis_up

_STORED: Final = "policy/acl/"
"""The prefix of `PolicyStore`'s entries; names with slashes lie deeper, so a scan lists them."""
_RULES_WARNING: Final = "'rules' is deprecated, please use 'policy' instead"
_NO_TEXT: Final = "'policy' parameter not supplied or empty"


class PolicyEngine(Engine):
    """Reading, writing and listing ACL policies."""

    def __init__(self, policies: PolicyStore, barrier: Barrier, clock: Clock) -> None:
        self._policies = policies
        self._barrier = barrier
        self._clock = clock

    @list_("policies/acl", event="policy.list")
    async def list_policies(self, call: Call) -> PolicyNames:
        """List the names of all ACL policies."""
        return PolicyNames([*await self._names(call), *_everything(call)])

    @list_("policies/acl/{prefix:path}", event="policy.list")
    async def list_policies_below(self, call: Call, params: PolicyPrefix) -> PolicyNames:
        """List the names of the ACL policies below a prefix."""
        names = await self._names(call, params.prefix)
        if not names:
            raise NotFound
        return PolicyNames(names)

    @list_("policies/detailed/acl", event="policy.list")
    async def list_details(self, call: Call) -> PolicyDetails:
        """List all ACL policies with their texts and settings."""
        return await self._details(call, await self._names(call))

    @list_("policies/detailed/acl/{prefix:path}", event="policy.list")
    async def list_details_below(self, call: Call, params: PolicyPrefix) -> PolicyDetails:
        """List the ACL policies below a prefix, and `root`, with their texts and settings."""
        return await self._details(call, await self._names(call, params.prefix))

    @read("policies/acl/{name:path}", event="policy.read")
    async def read_policy(self, call: Call, params: PolicyName) -> PolicyView:
        """Read an ACL policy."""
        name, entry = await self._find(call, params.name)
        return view(name, entry, legacy=False)

    @write("policies/acl/{name:path}", before="prepare", event="policy.write")
    async def write_policy(self, call: Call, params: PolicyWrite) -> None:
        """Create or replace an ACL policy. Settings that are not given return to their defaults."""
        await self._replace(call, params)

    @patch("policies/acl/{name:path}", before="prepare_patch", event="policy.write")
    async def patch_policy(self, call: Call, params: PolicyWrite) -> Reply[None]:
        """Change an ACL policy: its text or settings, each only where given.

        A check-and-set parameter is obeyed where there is one, and never required.
        """
        name = normalise(params.name)
        old = await self._load(call.core, name)
        if old is None:
            raise Malformed("policy not found")
        if isinstance(call.prepared, Malformed):
            raise call.prepared
        text = call.prepared if isinstance(call.prepared, str) else old.text
        _refuse_built_in(name, text)
        now = self._clock.nanos()
        expires = end(params, now) or old.expires
        check_version(params, old.version, required=False)
        entry = PolicyEntry(
            text=text,
            version=old.version + 1,
            modified=now,
            cas_required=_or_old(params.cas_required, old.cas_required),
            expires=expires,
            allow_slashes=_or_old(params.allow_slashes_in_identity_templates, old.allow_slashes),
            allow_wildcards=_or_old(params.allow_wildcards_in_identity_templates, old.allow_wildcards),
        )
        await self._put(call, name, entry, old)
        return Reply()

    @delete("policies/acl/{name:path}", event="policy.delete")
    async def delete_policy(self, call: Call, params: PolicyName) -> None:
        """Delete an ACL policy. Tokens keep its name, which grants nothing from now on."""
        await self._delete(call, params.name)

    @read("policy", event="policy.list")
    async def read_legacy_names(self, call: Call) -> Reply[LegacyPolicyNames]:
        """List the names of all ACL policies."""
        return await self._legacy_names(call)

    @list_("policy", event="policy.list")
    async def list_legacy(self, call: Call) -> Reply[LegacyPolicyNames]:
        """List the names of all ACL policies."""
        return await self._legacy_names(call)

    @list_("policy/{prefix:path}", event="policy.list")
    async def list_legacy_below(self, call: Call, params: PolicyPrefix) -> Reply[LegacyPolicyNames]:
        """List the names of the ACL policies below a prefix."""
        names = await self._names(call, params.prefix)
        data = LegacyPolicyNames(names, names) if names else LegacyPolicyNames(None)
        return Reply(data, embed=True)

    @read("policy/{name:path}", event="policy.read")
    async def read_legacy(self, call: Call, params: PolicyName) -> Reply[PolicyView]:
        """Read an ACL policy; its text is called `rules` here."""
        name, entry = await self._find(call, params.name)
        return Reply(view(name, entry, legacy=True), embed=True)

    @write("policy/{name:path}", before="prepare", event="policy.write")
    async def write_legacy(self, call: Call, params: LegacyPolicyWrite) -> Reply[None] | None:
        """Create or replace an ACL policy."""
        await self._replace(call, params)
        if params.rules and not params.policy:
            return Reply(warnings=[_RULES_WARNING])
        return None

    @delete("policy/{name:path}", event="policy.delete")
    async def delete_legacy(self, call: Call, params: PolicyName) -> None:
        """Delete an ACL policy."""
        await self._delete(call, params.name)

    async def prepare(self, call: Call, params: PolicyWrite) -> str:
        """Parse a policy before the transaction begins; a long one takes a second. Raises `Malformed`."""
        name = valid_name(params.name)
        if name is None:
            raise Malformed(
                "invalid policy name: use up to 512 printed characters, without %, backslashes and empty parts"
            )
        text = params.policy
        if isinstance(params, LegacyPolicyWrite):
            text = text or params.rules
        if text:
            end(params, self._clock.nanos())
        return await self._parsed(call, name, text)

    async def prepare_patch(self, call: Call, params: PolicyWrite) -> str | Malformed | None:
        """As `prepare`, if a text is given; a fault in it is reported only if there is a policy to change."""
        if "policy" not in call.data:
            return None
        try:
            return await self._parsed(call, normalise(params.name), params.policy)
        except Malformed as fault:
            return fault

    async def _parsed(self, call: Call, name: str, text: str | None) -> str:
        """Return the text to store. Raises `Malformed` for an invalid policy, and for one that cannot be changed."""
        if not text:
            raise Malformed(_NO_TEXT)
        try:
            policy = await self._policies.read(
                call.namespace.id, name, PolicyEntry(text=text, version=0, modified=Nanos(0))
            )
        except PolicyError as error:
            raise Malformed(error.message) from None
        _refuse_built_in(name, policy.text)
        return policy.text

    async def expire(self, core: View, key: str) -> None:
        """Delete an expired policy; called when its timer is due, perhaps more than once."""
        home_id, _, name = key.partition(":")
        namespace_id = NamespaceId(home_id)
        home = core.space(namespace_id)
        entry = await self._policies.get(home, name)
        if entry is not None and 0 < entry.expires <= self._clock.nanos():
            await self._policies.delete(home, name, namespace_id)

    async def _names(self, call: Call, prefix: str = "") -> list[str]:
        """Return the names below a prefix in OpenBao's order, without `root`."""
        core = core_reader(self._barrier, call.namespace)
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        return [folder + name for name in scan_order(await core.scan(_STORED + folder))]

    async def _legacy_names(self, call: Call) -> Reply[LegacyPolicyNames]:
        names = [*await self._names(call), *_everything(call)]
        return Reply(LegacyPolicyNames(names, names), embed=True)

    async def _details(self, call: Call, names: Sequence[str]) -> PolicyDetails:
        core = core_reader(self._barrier, call.namespace)
        found: dict[str, PolicyView] = {}
        for name in [*names, *_everything(call)]:
            entry = await self._load(core, name)
            if entry is not None:
                found[name] = view(name, entry, legacy=False)
        return PolicyDetails(found, list(found))

    async def _find(self, call: Call, given: str) -> tuple[str, PolicyEntry]:
        """Return a policy's normalised name and its entry. Raises `NotFound`."""
        name = normalise(given.removesuffix("/"))
        entry = await self._load(core_reader(self._barrier, call.namespace), name)
        if entry is None:
            raise NotFound
        return name, entry

    async def _load(self, core: ReadView, name: str) -> PolicyEntry | None:
        """Return a policy, built-in ones included; None when there is none or it has expired."""
        if name == ROOT:
            return PolicyEntry(text="", version=0, modified=Nanos(0))
        if name in BUILT_IN:
            default = await self._policies.get(core, "default")
            return PolicyEntry(
                text=BUILT_IN[name], version=1, modified=default.modified if default else Nanos(0)
            )
        entry = await self._policies.get(core, name) if valid_name(name) else None
        if entry is None or 0 < entry.expires <= self._clock.nanos():
            return None
        return entry

    async def _replace(self, call: Call, params: PolicyWrite) -> None:
        """Write a whole policy, whose text has been parsed. Raises `Malformed`."""
        name = normalise(params.name)
        now = self._clock.nanos()
        required = params.cas_required or False
        old = await self._load(call.core, name)
        current = old.version if old is not None else 0
        check_version(params, current, required=required or (old is not None and old.cas_required))
        entry = PolicyEntry(
            text=str(call.prepared),
            version=current + 1,
            modified=now,
            cas_required=required,
            expires=end(params, now),
            allow_slashes=params.allow_slashes_in_identity_templates or False,
            allow_wildcards=params.allow_wildcards_in_identity_templates or False,
        )
        await self._put(call, name, entry, old)

    async def _put(self, call: Call, name: str, entry: PolicyEntry, old: PolicyEntry | None) -> None:
        """Store a policy in the place of `old`, and set or remove the timer that ends it."""
        call.record.changed = {**_digest("old", old), **_digest("new", entry)}
        await self._policies.put(call.core, name, entry, call.namespace.id)
        key = policy_key(call.namespace.id, name)
        if entry.expires:
            await call.core.at(Timer(POLICY_KIND, key, nanos_to_millis_up(entry.expires)))
        else:
            await call.core.cancel(POLICY_KIND, key)

    async def _delete(self, call: Call, given: str) -> None:
        name = normalise(given.removesuffix("/"))
        if name == "default":
            raise Malformed("cannot delete default policy")
        if name in BUILT_IN:
            raise Malformed(f'cannot delete "{quote(name)}" policy')
        if valid_name(name):
            call.record.changed = _digest("old", await self._load(call.core, name))
            await self._policies.delete(call.core, name, call.namespace.id)
            await call.core.cancel(POLICY_KIND, policy_key(call.namespace.id, name))


def _digest(which: str, entry: PolicyEntry | None) -> dict[str, str]:
    """Return the digest of a policy's text under this name; nothing where there is none."""
    return {} if entry is None else {which: f"sha256:{sha256(entry.text.encode()).hexdigest()}"}


def _everything(call: Call) -> Sequence[str]:
    """Return the policy that allows everything, where there is one: in the root namespace."""
    return () if call.namespace.path else (ROOT,)


def _or_old(value: bool | None, old: bool) -> bool:  # noqa: FBT001 -- a value and what it replaces
    return old if value is None else value


def _refuse_built_in(name: str, text: str) -> None:
    """Raise `Malformed` for a policy that cannot be changed."""
    if not text:
        raise Malformed(_NO_TEXT)
    if name in BUILT_IN:
        raise Malformed(f'cannot update "{quote(name)}" policy')
