# SPDX-License-Identifier: EUPL-1.2
"""`sys/policies/password`: rules for passwords by name, and passwords made by them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.stored import text
from vault.engines.system.policies.password_rules import PasswordRules, RulesError, candidates, read_rules
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Failed, Malformed, NotFound, UnsupportedOperation
from vault.framework.fields import Doc
from vault.framework.names import scan_order
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, read, write
from vault.policy.model import PolicyError
from vault.policy.text.decode import policy_text
from vault.token.authenticator import core_reader

_STORED: Final = "policy/password/"
_SHORT: Final = 1024
"""Characters of rules that are parsed on the event loop."""


class PasswordPolicyName(Params, frozen=True):
    """Which password policy."""

    name: Annotated[str, Doc("Name of the password policy.")]


class PasswordPolicyWrite(PasswordPolicyName, frozen=True):
    """A password policy."""

    policy: Annotated[str, Doc("The rules, in HCL or JSON, possibly base64 encoded.")] = ""


class PasswordPolicyNames(msgspec.Struct, frozen=True):
    """The names of the password policies."""

    keys: list[str]


class PasswordPolicy(msgspec.Struct, frozen=True):
    """The text of a password policy."""

    policy: str


class Password(msgspec.Struct, frozen=True):
    """A new password; it is kept nowhere."""

    password: str

    def __repr__(self) -> str:
        """Keep the password out of logs."""
        return "<Password>"


class PasswordPolicyEngine(Engine):
    """Rules for the passwords that engines set for accounts of other systems."""

    def __init__(self, barrier: Barrier, entropy: Entropy, pool: Pool) -> None:
        """`pool` parses long rules."""
        self._barrier = barrier
        self._entropy = entropy
        self._pool = pool

    @list_("policies/password", event="policy.password.list")
    async def list_password_policies(self, call: Call) -> PasswordPolicyNames:
        """List the names of the password policies."""
        names = scan_order(await core_reader(self._barrier, call.namespace).scan(_STORED))
        if not names:
            raise NotFound
        return PasswordPolicyNames(names)

    @read("policies/password/{name:path}", event="policy.password.read")
    async def read_password_policy(self, call: Call, params: PasswordPolicyName) -> PasswordPolicy:
        """Read a password policy."""
        return PasswordPolicy(await self._text(call, params.name))

    @write("policies/password/{name:path}", before="prepare", event="policy.password.write")
    async def write_password_policy(self, call: Call, params: PasswordPolicyWrite) -> None:
        """Create or replace a password policy."""
        await call.core.put(_STORED + params.name, text(str(call.prepared)))

    @delete("policies/password/{name:path}", event="policy.password.delete")
    async def delete_password_policy(self, call: Call, params: PasswordPolicyName) -> None:
        """Delete a password policy; nothing happens where there is none."""
        _refuse_generator(params.name)
        await call.core.delete(_STORED + params.name)

    @read("policies/password/{name:path}/generate", before="prepare_rules", event="policy.password.generate")
    async def generate_password(self, call: Call, params: PasswordPolicyName) -> Reply[Password]:
        """Make a password by a policy. All passwords that the policy allows are equally likely."""
        rules = read_rules(await self._text(call, params.name))
        pace = TimeSlice()
        for candidate in candidates(rules, self._entropy.bytes):
            if candidate is not None:
                return Reply(Password(candidate))
            await pace.step()
        raise Failed("failed to generate password from policy: timed out generating string")

    async def prepare(self, call: Call, params: PasswordPolicyWrite) -> str:
        """Parse rules before the transaction begins, and return their text. Raises `Malformed`."""
        _refuse_generator(params.name)
        if not params.policy:
            raise Malformed("missing policy", chained=True)
        try:
            text = policy_text(params.policy)
            await self._read(call, text)
        except PolicyError:
            raise Malformed("invalid password policy: it is not text", chained=True) from None
        except RulesError as error:
            raise Malformed(str(error), chained=True) from None
        return text

    async def prepare_rules(self, call: Call, params: PasswordPolicyName) -> None:
        """Parse the rules before the transaction begins, so that they are cached then."""
        await self._read(call, await self._text(call, params.name))

    async def _read(self, call: Call, text: str) -> PasswordRules:
        if len(text) <= _SHORT:
            return read_rules(text)
        return await self._pool.run(client_of(call), lambda: read_rules(text))

    async def _text(self, call: Call, name: str) -> str:
        stored = await core_reader(self._barrier, call.namespace).get(_STORED + name)
        if stored is None:
            raise NotFound("policy does not exist", chained=True)
        return stored.decode()


def _refuse_generator(name: str) -> None:
    """Refuse policies named `…/generate`, whose path makes passwords: they could not be read."""
    if name.endswith("/generate"):
        raise UnsupportedOperation
