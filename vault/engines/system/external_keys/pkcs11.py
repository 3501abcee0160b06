# SPDX-License-Identifier: EUPL-1.2
"""External keys in tokens that speak PKCS#11: the plugin `pkcs11`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm.client.ciphers import TokenCipher
from hsm.client.signers import Mechanism, SigningAgent, TokenSigner, private_key
from hsm.errors import BadConfig, HsmError, KeyMissing, SlotUnavailable
from hsm.operations import ListTokens, TokenInfo
from hsm.versions import printable
from vault.engines.system.external_keys.agents import MOST, TURNS, Agents, TokenAgent, TokenKey
from vault.engines.system.external_keys.engine import Options
from vault.engines.system.external_keys.pkcs11_config import TokenConfig, TokenKeyConfig, read_key, read_token
from vault.framework.call import Call
from vault.framework.concurrency.deadline import within
from vault.framework.errors import Failed, Malformed, Unavailable, VaultError
from vault.framework.keys.external import ExternalKey, PrivateKey, SecretKey, oaep
from vault.framework.quote import quote

T = TypeVar("T")

_SECONDS: Final = 5.0
"""How long one operation may take."""
_PROOF: Final = b"COFFRE-OAEP-1"
"""What is encrypted to see whether a token decrypts it; it is no secret."""
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
        """Read the public half, or see that an AES key encrypts. Raises `Malformed` and `Unavailable`."""
        token, wanted = read_token(config, self._modules), read_key(key)
        await self._with(token, lambda opened: self._found(opened, token, wanted))

    async def open(self, ref: str, config: Options, key: Options) -> ExternalKey:
        """Return the key, ready for use. Raises `Malformed` and `Unavailable`."""
        token, wanted = read_token(config, self._modules), read_key(key)

        async def find(opened: TokenAgent) -> TokenKey:
            return opened.keys.get(wanted) or await self._found(opened, token, wanted)

        found = await self._with(token, find)
        return _Key(self, ref, token, wanted, _description(ref, found), found.oaep)

    async def use(
        self,
        token: TokenConfig,
        wanted: TokenKeyConfig,
        description: Mapping[str, str],
        work: Callable[[PrivateKey | SecretKey], T],
    ) -> T:
        """Return the result of `work` with the described key. Raises `Failed`, `Unavailable`, and what `work` raises."""

        async def work_with(opened: TokenAgent) -> T:
            found = opened.keys.get(wanted) or await self._found(opened, token, wanted, Failed)
            if description != _description(description["ref"], found):
                raise Failed("the token has another key of this name by now")
            try:
                return await self._run(opened, lambda: work(found.key), Failed)
            except (Failed, Unavailable):
                opened.keys.pop(wanted, None)
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
        wanted: TokenKeyConfig,
        refusal: type[VaultError] = Malformed,
    ) -> TokenKey:
        """Find a key in the token, and cache it."""
        found = await self._run(opened, lambda: _looked_for(opened.agent, token, wanted), refusal)
        opened.remember(wanted, found)
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
    """A key in a token; see `ExternalKey`."""

    def __init__(
        self,
        provider: Pkcs11Provider,
        ref: str,
        token: TokenConfig,
        wanted: TokenKeyConfig,
        description: Mapping[str, str],
        oaep: str,
    ) -> None:
        self._provider = provider
        self._ref = ref
        self._token = token
        self._wanted = wanted
        self._description = description
        self._oaep = oaep

    @property
    def ref(self) -> str:
        return self._ref

    @property
    def oaep(self) -> str:
        return self._oaep

    def describe(self) -> Mapping[str, str]:
        return self._description

    async def use(self, call: Call | None, work: Callable[[PrivateKey], T]) -> T:
        def work_with_pair(key: PrivateKey | SecretKey) -> T:
            if not isinstance(key, PrivateKey):
                raise Malformed(f'key "{quote(self._ref)}" is an AES key: it signs nothing')
            return work(key)

        return await self.use_any(call, work_with_pair)

    async def use_any(self, call: Call | None, work: Callable[[PrivateKey | SecretKey], T]) -> T:
        if call is not None and self._description not in call.record.external_keys:
            call.record.external_keys = [*call.record.external_keys, self._description]
        return await self._provider.use(self._token, self._wanted, self._description, work)


def _looked_for(agent: SigningAgent, token: TokenConfig, wanted: TokenKeyConfig) -> TokenKey:
    """Return a key as the token has it. A pair goes before an AES key of its name. Raises `HsmError`."""
    if wanted.mechanism is Mechanism.AES_GCM:
        return _cipher(agent, token, wanted)
    try:
        return _pair(agent, token, wanted)
    except KeyMissing as no_pair:
        if wanted.mechanism is not None:
            raise
        try:
            return _cipher(agent, token, wanted)
        except KeyMissing:
            raise no_pair from None


def _pair(agent: SigningAgent, token: TokenConfig, wanted: TokenKeyConfig) -> TokenKey:
    signer = TokenSigner(agent, wanted.label, wanted.key_id, seconds=_SECONDS, only=wanted.mechanism)
    private = private_key(signer)
    return TokenKey(
        key=private,
        oaep=wanted.oaep_hash if _decrypts(private, wanted.oaep_hash) else "",
        label=signer.label,
        key_id=signer.key_id,
        token=_information(agent, token),
    )


def _decrypts(private: PrivateKey, hash_name: str) -> bool:
    """Whether an RSA key opens what was encrypted for it with this hash: not every token can, and not every key may.

    Raises `SlotUnavailable`.
    """
    if not isinstance(private, RSAPrivateKey):
        return False
    scheme = oaep(hash_name)
    try:
        return private.decrypt(private.public_key().encrypt(_PROOF, scheme), scheme) == _PROOF
    except (BadConfig, ValueError):
        return False


def _cipher(agent: SigningAgent, token: TokenConfig, wanted: TokenKeyConfig) -> TokenKey:
    cipher = TokenCipher(agent, wanted.label, wanted.key_id, seconds=_SECONDS)
    return TokenKey(key=cipher, label=cipher.label, key_id=cipher.key_id, token=_information(agent, token))


def _description(ref: str, found: TokenKey) -> Mapping[str, str]:
    """Describe the key for the audit log as the token describes it, not only as the config names it."""
    described = {
        "ref": ref,
        "token_serial": found.token.serial,
        "token_label": found.token.label,
        "key_label": found.label,
        "key_id": printable(found.key_id) if found.key_id else "",
    }
    if isinstance(found.key, PrivateKey):
        der = found.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {**described, "public_key_sha256": sha256(der).hexdigest()}
    return {**described, "key_fingerprint": found.key.fingerprint}


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
