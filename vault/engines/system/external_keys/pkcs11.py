# SPDX-License-Identifier: EUPL-1.2
"""External keys in tokens that speak PKCS#11: the plugin `pkcs11`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm.client.signers import SigningAgent, TokenSigner, private_key
from hsm.errors import HsmError, SlotUnavailable
from hsm.operations import ListTokens, TokenInfo
from hsm.versions import printable
from vault.engines.system.external_keys.agents import MOST, TURNS, Agents, TokenAgent, TokenKeyPair
from vault.engines.system.external_keys.engine import Options
from vault.engines.system.external_keys.pkcs11_config import KeyPairConfig, TokenConfig, read_pair, read_token
from vault.framework.call import Call
from vault.framework.concurrency.deadline import within
from vault.framework.errors import Failed, Malformed, Unavailable, VaultError
from vault.framework.keys.external import ExternalKey, PrivateKey

T = TypeVar("T")

_SECONDS: Final = 5.0
"""How long one operation may take."""
DEADLINE: Final = 15.0
"""Seconds after which every lookup and use of a key is answered, even if the token hangs and others wait."""


class Pkcs11Provider:
    """See `vault.engines.system.external_keys.engine.KeyProvider`."""

    secrets = frozenset({"pin"})

    def __init__(self, modules: Mapping[str, str], agents: Agents, deadline: float = DEADLINE) -> None:
        """`modules` are paths by alias, `deadline` is in seconds."""
        self._deadline = deadline
        self._modules = modules
        self._agents = agents
        self._threads = ThreadPoolExecutor(MOST * TURNS, "external-key")

    async def check_config(self, config: Options) -> None:
        """Log in. Raises `Malformed` and `Unavailable`."""
        token = read_token(config, self._modules)

        async def check(opened: TokenAgent) -> None:
            await self._run(opened, lambda: _information(opened.agent, token), Malformed)

        await self._with(token, check)

    async def check_key(self, config: Options, key: Options) -> None:
        """Read the public half. Raises `Malformed` and `Unavailable`."""
        token, pair = read_token(config, self._modules), read_pair(key)
        await self._with(token, lambda opened: self._found(opened, token, pair))

    async def open(self, ref: str, config: Options, key: Options) -> ExternalKey:
        """Return the key pair, ready to sign. Raises `Malformed` and `Unavailable`."""
        token, pair = read_token(config, self._modules), read_pair(key)

        async def find(opened: TokenAgent) -> TokenKeyPair:
            return opened.pairs.get(pair) or await self._found(opened, token, pair)

        return _Key(self, ref, token, pair, _description(ref, await self._with(token, find)))

    async def use(
        self,
        token: TokenConfig,
        pair: KeyPairConfig,
        description: Mapping[str, str],
        work: Callable[[PrivateKey], T],
    ) -> T:
        """Return the result of `work` with the described private key. Raises `Failed` and `Unavailable`."""

        async def work_with(opened: TokenAgent) -> T:
            found = opened.pairs.get(pair) or await self._found(opened, token, pair, Failed)
            if description != _description(description["ref"], found):
                raise Failed("the token has another key of this name by now")
            try:
                return await self._run(opened, lambda: work(found.private), Failed)
            except VaultError:
                opened.pairs.pop(pair, None)
                raise

        return await self._with(token, work_with)

    async def _with(self, token: TokenConfig, ask: Callable[[TokenAgent], Coroutine[Any, Any, T]]) -> T:
        """Hold the token up to the caller's deadline. Raises `Unavailable` after that."""

        async def hold() -> T:
            with self._agents.using(token) as opened:
                return await ask(opened)

        try:
            return await within(self._deadline, hold())
        except TimeoutError as error:
            raise Unavailable(f"the token did not answer in time: {self._deadline:g} s") from error

    async def _found(
        self,
        opened: TokenAgent,
        token: TokenConfig,
        pair: KeyPairConfig,
        refusal: type[VaultError] = Malformed,
    ) -> TokenKeyPair:
        """Find a key pair in the token, and cache it."""

        def look() -> TokenKeyPair:
            signer = TokenSigner(opened.agent, pair.label, pair.key_id, seconds=_SECONDS, only=pair.mechanism)
            return TokenKeyPair(
                private=private_key(signer),
                label=signer.label,
                key_id=signer.key_id,
                token=_information(opened.agent, token),
            )

        found = await self._run(opened, look, refusal)
        opened.remember(pair, found)
        return found

    async def _run(self, opened: TokenAgent, work: Callable[[], T], refusal: type[VaultError]) -> T:
        """Run blocking work on a token in a thread. Raises `refusal`, or `Unavailable` when the token does not answer.

        A thread cannot be stopped: it keeps its place until the agent has answered or was killed.
        """
        await opened.turns.acquire()
        job = asyncio.get_running_loop().run_in_executor(self._threads, work)
        job.add_done_callback(lambda _: opened.turns.release())
        try:
            return await asyncio.shield(job)
        except SlotUnavailable as error:
            raise Unavailable(str(error), detail=error.ckr) from error
        except HsmError as error:
            raise refusal(str(error)) from error


class _Key:
    """A key pair in a token; see `ExternalKey`."""

    def __init__(
        self,
        provider: Pkcs11Provider,
        ref: str,
        token: TokenConfig,
        pair: KeyPairConfig,
        description: Mapping[str, str],
    ) -> None:
        self._provider = provider
        self._ref = ref
        self._token = token
        self._pair = pair
        self._description = description

    @property
    def ref(self) -> str:
        return self._ref

    def describe(self) -> Mapping[str, str]:
        return self._description

    async def use(self, call: Call | None, work: Callable[[PrivateKey], T]) -> T:
        if call is not None:
            call.record.external_keys = [*call.record.external_keys, self._description]
        return await self._provider.use(self._token, self._pair, self._description, work)


def _description(ref: str, found: TokenKeyPair) -> Mapping[str, str]:
    """Describe the key for the audit log as the token describes it, not only as the config names it."""
    der = found.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "ref": ref,
        "token_serial": found.token.serial,
        "token_label": found.token.label,
        "key_label": found.label,
        "key_id": printable(found.key_id) if found.key_id else "",
        "public_key_sha256": sha256(der).hexdigest(),
    }


def _information(agent: SigningAgent, token: TokenConfig) -> TokenInfo:
    """Return the token's description of itself. Raises `HsmError`."""
    found = agent.ask_blocking(ListTokens(), list[TokenInfo], _SECONDS)
    for information in found:
        if token.serial not in {"", information.serial} or token.label not in {"", information.label}:
            continue
        if token.serial or token.label or token.slot == information.slot:
            return information
    raise SlotUnavailable(
        f"token {token.label or token.serial or token.slot}: is not among the module's tokens"
    )
