# SPDX-License-Identifier: EUPL-1.2
"""The key slot `pkcs11`: a key on a token, reached through an agent process.

Making one touches no device: a token that is dead or gone must never keep a server from starting. The agent
starts with the first request, and anew after it died, hung or lost its token.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from hsm import operations
from hsm.client.agent_client import AgentClient
from hsm.client.backoff import BackOff
from hsm.client.counters import Counters
from hsm.client.launch import PROGRAM, Launch
from hsm.client.process import LOADING_SECONDS, AgentProcess
from hsm.client.settings import Pkcs11Settings
from hsm.errors import AgentDied, HsmError, KeyMissing, SlotUnavailable
from hsm.key_slot import KeyIdentity, SlotState, WrappedKey
from hsm.operations import AgentConfig, Operation, ProbeResult, TokenInfo
from hsm.pin import Pin
from hsm.runtime import runtime_directory
from hsm.versions import KeyVersion

GENERATION_SECONDS: Final = 120.0
"""How long a token may take to make a key; small devices need a minute for RSA."""
OPENING_FACTOR: Final = 5
"""Loading the module and logging in may take so many times as long as one operation."""

_END_SECONDS: Final = 5.0

Answer = TypeVar("Answer")


class Pkcs11Slot:
    """A `KeySlot`; everything here raises `HsmError` within the slot's deadline.

    `directory` is where the marker of a wrong PIN goes, the same for all servers of this user. `chance` gives
    numbers from 0 up to 1 for the pauses between starts. `program` replaces the agent's command in tests.
    """

    kind: Final = "pkcs11"

    def __init__(
        self,
        settings: Pkcs11Settings,
        *,
        chance: Callable[[], float],
        directory: Path | None = None,
        now: Callable[[], float] = time.monotonic,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.settings: Final = settings
        found = os.environ if environment is None else environment
        launch = Launch(
            config=agent_config(settings, directory or runtime_directory(found)),
            pin=settings.pin.read,
            hidden_variables=settings.pin.hidden_variables,
            environment=found,
            program=program,
            opening_seconds=settings.timeout * OPENING_FACTOR,
        )
        back_off = BackOff(now=now, chance=chance)
        self._client = AgentClient(
            lambda: AgentProcess(launch, now=now), back_off, now=now, pin=settings.pin.read
        )
        self._now: Final = now
        self._seen = False
        self._probed: ProbeResult | None = None

    @property
    def name(self) -> str:
        """Name of the slot, unique within the seal."""
        return self.settings.name

    @property
    def priority(self) -> int:
        """Slots are asked in this order, lowest first."""
        return self.settings.priority

    @property
    def counters(self) -> Counters:
        """What happened so far, for metrics."""
        return self._client.counters

    @property
    def probed(self) -> ProbeResult | None:
        """What the last probe found that reached the agent: token, flags, number of logins and sessions."""
        return self._probed

    @property
    def agent_pid(self) -> int | None:
        """Process number of the agent, if there is one."""
        return self._client.pid

    async def wrap(self, dek: bytes, key: KeyIdentity | None = None) -> WrappedKey:
        """Wrap 32 bytes under `key` or the newest version, and see that the token takes it back."""
        wrapped = await self._ask_key(operations.Wrap(dek, key), WrappedKey)
        if key is not None and wrapped.k != key.version:
            raise SlotUnavailable(f"slot {self.name}: wrapped under version {wrapped.k}, not {key.version}")
        return wrapped

    async def identify(self, key: KeyIdentity | None = None) -> KeyIdentity:
        """Have `key`, or the newest version, prove itself; return all that it is known by."""
        return await self._ask_key(operations.Identify(key), KeyIdentity)

    async def unwrap(self, wrapped: WrappedKey) -> bytes:
        """Return what `wrap` was given; `IntegrityError` when `wrapped` was changed and the key works."""
        return await self._ask_key(operations.Unwrap(wrapped), bytes)

    async def probe(self) -> SlotState:
        """Wrap and unwrap something fresh, and say how that went; an outage is looked at twice."""
        try:
            probed = await self._ask(operations.Probe(), ProbeResult)
            if self._is_outage(probed):
                probed = await self._ask(operations.Probe(), ProbeResult)
        except HsmError as error:
            return SlotState(up=False, reason=str(error))
        self._probed = probed
        if self._is_outage(probed):
            self._client.suspect()
        elif not probed.reason:
            self._seen = True
        return SlotState(
            up=not probed.reason,
            key_version=probed.key_version,
            key_bits=probed.key_bits,
            reason=probed.reason,
            remark="; ".join(probed.ignored),
            software=probed.token is not None and probed.token.software,
            description=probed.token.description if probed.token else "",
        )

    async def close(self) -> None:
        """Let the agent end; it is killed when it does not."""
        agent = self._client.end()
        if agent is not None:
            await asyncio.to_thread(agent.join, _END_SECONDS)

    async def random(self, size: int) -> bytes:
        """Return `size` bytes (at most 4096) of the token's randomness."""
        return await self._ask(operations.Random(size), bytes)

    async def sign(self, key_label: str, key_id: bytes | None, mechanism: str, data: bytes) -> bytes:
        """Return the token's signature; `mechanism` is one of `hsm.agent.keys.signatures.SIGNATURES`."""
        return await self._ask(operations.Sign(key_label, key_id, mechanism, data), bytes)

    def sign_blocking(self, key_label: str, key_id: bytes | None, mechanism: str, data: bytes) -> bytes:
        """Sign from a thread that may wait; builders of certificates sign synchronously."""
        return self._ask_blocking(operations.Sign(key_label, key_id, mechanism, data), bytes)

    async def public_key(self, key_label: str, key_id: bytes | None) -> bytes:
        """Return a key pair's public half as SubjectPublicKeyInfo in DER."""
        return (await self._ask(operations.PublicKey(key_label, key_id), operations.PublicHalf)).public

    def public_key_blocking(self, key_label: str, key_id: bytes | None) -> bytes:
        """Return a public half to a thread that may wait."""
        return self._ask_blocking(operations.PublicKey(key_label, key_id), operations.PublicHalf).public

    async def generate_key_pair(
        self, key_label: str, key_id: bytes, algorithm: str, *, seconds: float = GENERATION_SECONDS
    ) -> bytes:
        """Make a key pair that signs and return its public half; see `hsm.agent.keys.generation.PAIR_ALGORITHMS`."""
        operation = operations.GenerateKeyPair(key_label, key_id, algorithm)
        return await self._ask(operation, bytes, seconds)

    async def generate_kek(
        self,
        algorithm: str,
        *,
        modifiable: bool = False,
        dry_run: bool = False,
        seconds: float = GENERATION_SECONDS,
    ) -> KeyVersion:
        """Make the next version of the slot's key; see `hsm.agent.keys.generation.KEK_ALGORITHMS`.

        `modifiable` lets it be retired on the token later. After a dry run the token has no key more.
        """
        operation = operations.GenerateKek(algorithm, modifiable, dry_run)
        return await self._ask(operation, KeyVersion, seconds)

    async def keys(self) -> list[KeyVersion]:
        """Return all versions of the slot's key, oldest first."""
        return await self._ask(operations.Keys(), list[KeyVersion])

    async def retire(self, version: str, *, dry_run: bool = False) -> None:
        """Let a version of the slot's key decrypt only; with `dry_run` refuse what that would refuse."""
        await self._ask(operations.Retire(version, dry_run), type(None))

    async def list_tokens(self) -> list[TokenInfo]:
        """Return what all tokens of the slot's module say of themselves."""
        return await self._ask(operations.ListTokens(), list[TokenInfo])

    def _is_outage(self, probed: ProbeResult) -> bool:
        return probed.kind == "SlotUnavailable" or (probed.kind == "KeyMissing" and self._seen)

    async def _ask_key(self, operation: Operation, kind: type[Answer]) -> Answer:
        """Ask for something with the slot's key; one that worked before cannot be missing for good."""
        try:
            answer = await self._ask_twice(operation, kind)
        except KeyMissing as error:
            if not self._seen:
                raise
            self._client.suspect()
            raise SlotUnavailable(f"{error}, but it was there before", ckr=error.ckr) from error
        self._seen = True
        return answer

    async def _ask_twice(self, operation: Operation, kind: type[Answer]) -> Answer:
        """Ask, and ask the next agent what a crash interrupted, which has what is left of the time of the first."""
        seconds = self.settings.timeout
        if not self._client.ready:
            seconds += LOADING_SECONDS + seconds * OPENING_FACTOR
        end = self._now() + seconds
        try:
            return await self._ask(operation, kind)
        except AgentDied as death:
            again = self._ask(operation, kind)
            try:
                return await asyncio.get_running_loop().create_task(_until(end - self._now(), again))
            except TimeoutError:
                raise SlotUnavailable(f"{death}, and the next one did not answer in time") from None

    async def _ask(self, operation: Operation, kind: type[Answer], seconds: float | None = None) -> Answer:
        try:
            return await self._client.ask(operation, kind, seconds or self.settings.timeout)
        except HsmError as error:
            raise self._named(error) from error

    def _ask_blocking(self, operation: Operation, kind: type[Answer]) -> Answer:
        try:
            return self._client.ask_blocking(operation, kind, self.settings.timeout)
        except HsmError as error:
            raise self._named(error) from error

    def _named(self, error: HsmError) -> HsmError:
        return type(error)(f"slot {self.name}: {error}", ckr=error.ckr)


def agent_config(settings: Pkcs11Settings, directory: Path) -> AgentConfig:
    """Return what the agent gets of the settings: all but name and PIN."""
    return AgentConfig(
        lib=settings.lib,
        library_parameters=settings.library_parameters,
        slot=settings.slot,
        token_label=settings.token_label,
        token_serial=settings.token_serial,
        key_label=settings.key_label,
        key_id=settings.key_id,
        mechanism=settings.mechanism,
        rsa_oaep_hash=settings.rsa_oaep_hash,
        max_sessions=settings.max_sessions,
        force_pin_final_try=settings.force_pin_final_try,
        runtime_directory=str(directory),
    )


async def _until(seconds: float, answer: Coroutine[Any, Any, Answer]) -> Answer:
    """Return an answer. Raises `TimeoutError` after so many seconds. It runs in a task of its own, since a read has none."""
    async with asyncio.timeout(seconds):
        return await answer


async def list_tokens(
    lib: str,
    library_parameters: str = "",
    *,
    seconds: float = 10.0,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = PROGRAM,
) -> list[TokenInfo]:
    """Return what all tokens of the module `lib` say of themselves, without logging in to any.

    An agent runs for this question alone. Raises `HsmError`.
    """
    launch = Launch(
        config=AgentConfig(lib=lib, library_parameters=library_parameters, login=False, max_sessions=1),
        pin=lambda: Pin(b""),
        environment=os.environ if environment is None else environment,
        program=program,
        opening_seconds=seconds,
    )
    agent = AgentProcess(launch, now=time.monotonic)
    client = AgentClient(lambda: agent, BackOff(now=time.monotonic, chance=lambda: 0.0))
    try:
        return await client.ask(operations.ListTokens(), list[TokenInfo], seconds)
    finally:
        client.end()
        await asyncio.to_thread(agent.join, _END_SECONDS)
