# SPDX-License-Identifier: EUPL-1.2
"""The agent: the one process that loads the PKCS#11 module, run as `python -m hsm.agent CHANNEL PIN`.

A module of a vendor can crash its process or hang in a call that nothing can cancel. So it runs here, and the
server kills this process and starts another. `CHANNEL` and `PIN` are inherited descriptors: a socket for
frames, and a pipe that holds the PIN until it was read once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import pkcs11

from hsm import operations
from hsm.agent.device import Device, tokens
from hsm.agent.hardening import fall_silent, harden, limit_memory
from hsm.agent.keys.mechanisms import Entropy
from hsm.agent.session.exceptions import SessionLost, UnclearFault, classify
from hsm.agent.session.login import SCRYPT_COST, LoginGate
from hsm.agent.session.module import Module, load
from hsm.errors import BadConfig, HsmError, SlotUnavailable
from hsm.operations import AgentConfig
from hsm.pin import Pin
from hsm.protocol import (
    LOADED,
    READY,
    AgentFailure,
    AgentReply,
    BadFrame,
    FrameReader,
    Request,
    decode,
    encode,
)
from hsm.runtime import boot_id

_RECEIVE: Final = 1 << 16
_FINISH_SECONDS: Final = 0.5
_LONGEST_MESSAGE: Final = 4096
"""Characters of an error, so that it fits a frame."""


class Agent:
    """Serves one channel, with as many threads as it may have sessions."""

    def __init__(
        self, channel: socket.socket, pin: Pin, *, entropy: Entropy, cost: int = SCRYPT_COST
    ) -> None:
        """`cost` is how slow the hash of the PIN is."""
        self._channel = channel
        self._pin = pin
        self._cost = cost
        self._entropy = entropy
        self._reader = FrameReader()
        self._bodies: list[bytes] = []
        self._sending = threading.Lock()
        self._receiving = threading.Lock()
        self._gone = threading.Event()
        self._module: Module | None = None
        self._device: Device | None = None

    def serve(self) -> None:
        """Open the module as the first frame says, then answer until the server closes the channel."""
        fall_silent()
        self._send(encode(AgentReply(LOADED, _raw(None))))
        body = self._receive()
        if body is None:
            return
        config = decode(body, AgentConfig)
        limit_memory(config.max_sessions)
        try:
            self._open(config)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server must hear of it
            self._send(encode(AgentReply(READY, _raw(None), failure(error))))
            self._finish([])
            return
        self._send(encode(AgentReply(READY, _raw(None))))
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(config.max_sessions)]
        for thread in threads:
            thread.start()
        self._gone.wait()
        self._finish(threads)

    def _finish(self, threads: list[threading.Thread]) -> None:
        """Let the module say goodbye to its device, unless a thread is still in a call."""
        until = time.monotonic() + _FINISH_SECONDS
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        if self._module is not None and not any(thread.is_alive() for thread in threads):
            self._module.finish()

    def _open(self, config: AgentConfig) -> None:
        try:
            self._module = load(config.lib, config.library_parameters)
        except pkcs11.PKCS11Error as error:
            raise SlotUnavailable(f"lib {config.lib}: {str(error) or type(error).__name__}") from error
        if config.login:
            gate = LoginGate(
                Path(config.runtime_directory),
                boot_id(),
                guest=config.guest,
                force=config.force_pin_final_try,
                cost=self._cost,
            )
            self._device = Device(config, self._module, self._pin, gate, entropy=self._entropy)
            self._device.start()

    def _work(self) -> None:
        """Take a request, answer it, and so on. The threads take turns at the channel: no queue, no hop."""
        try:
            while True:
                with self._receiving:
                    body = self._receive()
                if body is None:
                    return
                self._send(self._answered(decode(body, Request)))
        except (OSError, BadFrame):
            return
        finally:
            with contextlib.suppress(OSError):
                self._channel.shutdown(socket.SHUT_RD)  # wakes the others, who are to end too
            self._gone.set()

    def _answered(self, request: Request) -> bytes:
        try:
            return encode(AgentReply(request.number, _raw(self._answer(request.operation))))
        except Exception as error:  # noqa: BLE001 - whatever it is, the server must hear of it
            return encode(AgentReply(request.number, _raw(None), failure(error)))

    def _answer(self, operation: operations.Operation) -> Any:  # noqa: ANN401 - each operation has its own
        if isinstance(operation, operations.ListTokens):
            assert self._module is not None
            try:
                return tokens(self._module)
            except pkcs11.PKCS11Error as error:
                raise classify(error, "listing tokens") from error
        if self._device is None:
            raise BadConfig("the agent was opened without a login")
        return perform(self._device, operation)

    def _send(self, frame: bytes) -> None:
        with self._sending:
            self._channel.sendall(frame)

    def _receive(self) -> bytes | None:
        """Return the next frame's body, or None when the server is gone."""
        while not self._bodies:
            received = self._channel.recv(_RECEIVE)
            if not received:
                return None
            self._bodies = self._reader.feed(received)
        return self._bodies.pop(0)


def perform(device: Device, operation: operations.Operation) -> Any:  # noqa: ANN401 - each operation has its own
    """Do what is asked for and return the answer that `hsm.operations` gives it. Raises `HsmError`."""
    match operation:
        case operations.Wrap(dek, key):
            return device.wrap(dek, key)
        case operations.Identify(key):
            return device.identify(key)
        case operations.Unwrap(wrapped):
            return device.unwrap(wrapped)
        case operations.Probe():
            return device.probe()
        case operations.Random(size):
            return device.random(size)
        case operations.Sign(label, key_id, mechanism, data):
            return device.sign(label, key_id, mechanism, data)
        case operations.PublicKey(label, key_id):
            return device.public_key(label, key_id)
        case operations.SecretKey() | operations.Encrypt() | operations.Decrypt():
            return device.cipher(operation)
        case operations.GenerateKeyPair(label, key_id, algorithm):
            return device.generate_key_pair(label, key_id, algorithm)
        case operations.GenerateKek(algorithm, modifiable, dry_run):
            return device.generate_kek(algorithm, modifiable=modifiable, dry_run=dry_run)
        case operations.Keys():
            return device.keys()
        case operations.Retire(version, dry_run):
            return device.retire(version, dry_run=dry_run)
    raise BadConfig("a list of tokens is not the device's to give")


def failure(error: Exception) -> AgentFailure:
    """Return an error as the server hears of it; of one that is not ours, the type alone."""
    if isinstance(error, HsmError):
        kind = "SlotUnavailable" if isinstance(error, SessionLost | UnclearFault) else type(error).__name__
        return AgentFailure(kind, str(error)[:_LONGEST_MESSAGE], error.ckr)
    return AgentFailure("SlotUnavailable", f"the agent failed with {type(error).__name__}")


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


class Unraisable(Protocol):
    """What the interpreter says of an exception that no code could catch."""

    @property
    def exc_value(self) -> BaseException | None:
        """The exception."""
        ...


def quieter(hook: Callable[[Any], object]) -> Callable[[Unraisable], object]:
    """Return a hook that says nothing of what python-pkcs11 cannot tidy up: it complains of each failed search."""
    return lambda found: None if isinstance(found.exc_value, pkcs11.PKCS11Error) else hook(found)


def main(arguments: list[str], *, entropy: Entropy, cost: int = SCRYPT_COST) -> None:
    """Read the PIN, whose hash is as slow as `cost`, then serve the channel until the server closes it."""
    harden()
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the server says when it is over
        signal.signal(ignored, signal.SIG_IGN)
    sys.unraisablehook = quieter(sys.unraisablehook)
    channel_number, pin_number = map(int, arguments)
    with os.fdopen(pin_number, "rb") as pipe:
        pin = Pin(pipe.read())
    with socket.socket(fileno=channel_number) as channel, contextlib.suppress(OSError):
        Agent(channel, pin, entropy=entropy, cost=cost).serve()
