# SPDX-License-Identifier: EUPL-1.2
"""An agent as its server sees it: what it answers, and what nobody can see of it."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pkcs11
import pytest

from hsm import operations
from hsm.agent.service import Agent, failure, perform, quieter
from hsm.agent.session.exceptions import SessionLost, UnclearFault
from hsm.agent.session.module import Module
from hsm.errors import BadConfig, IntegrityError, KeyMissing, SlotUnavailable
from hsm.key_slot import WrappedKey
from hsm.operations import AgentConfig, ProbeResult, PublicHalf
from hsm.pin import Pin
from hsm.protocol import FIRST, LOADED, READY, AgentReply, FrameReader, Request, decode, encode
from hsm.token_info import TokenInfo
from hsm.versions import KeyVersion
from tests.hsm.spoiling import answer, spoiled
from tests.hsm.tokens import COST, PIN, SOFTHSM, SoftHsm

DEK = bytes(range(32))


class Server:
    """The server's end of a channel to an agent in a thread."""

    def __init__(self, pin: str = PIN) -> None:
        self.channel, far = socket.socketpair()
        self.channel.settimeout(60)
        self._bodies: list[bytes] = []
        self._reader = FrameReader()
        self._number = FIRST
        self.problems: list[BaseException] = []
        self._before = set(threading.enumerate())

        def serve() -> None:
            try:
                with far:
                    Agent(far, Pin(pin.encode()), entropy=os.urandom, cost=COST).serve()
            except BaseException as error:  # noqa: BLE001 - the test looks at what it was
                self.problems.append(error)

        self.thread = threading.Thread(target=serve)
        self.thread.start()

    def receive(self) -> AgentReply:
        while not self._bodies:
            self._bodies += self._reader.feed(self.channel.recv(1 << 16))
        return decode(self._bodies.pop(0), AgentReply)

    def open(self, config: AgentConfig) -> AgentReply:
        assert self.receive().number == LOADED
        self.channel.sendall(encode(config))
        reply = self.receive()
        assert reply.number == READY
        return reply

    def ask(self, operation: operations.Operation, kind: Any = None) -> Any:
        self._number += 1
        self.channel.sendall(encode(Request(self._number, operation)))
        reply = self.receive()
        assert reply.number == self._number
        if reply.failure is not None:
            raise reply.failure.error()
        return msgspec.msgpack.decode(reply.result, type=kind)

    def close(self) -> None:
        self.channel.close()
        self.thread.join(60)
        assert not self.thread.is_alive()

    def no_thread_is_left(self) -> None:
        """Wait for those of the agent: SoftHSM crashes where it is finalised, or starts anew, below a call."""
        for thread in set(threading.enumerate()) - self._before:
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture
def server(softhsm: SoftHsm) -> Iterator[Server]:
    made = Server()
    yield made
    made.close()
    made.no_thread_is_left()


def test_it_answers_every_operation(softhsm: SoftHsm, server: Server) -> None:
    assert server.open(softhsm.agent_config("a")).failure is None
    made = server.ask(operations.GenerateKek("aes", modifiable=True), KeyVersion)
    wrapped = server.ask(operations.Wrap(DEK), WrappedKey)
    assert server.ask(operations.Unwrap(wrapped), bytes) == DEK
    assert server.ask(operations.Keys(), list[KeyVersion]) == [made]
    assert server.ask(operations.Probe(), ProbeResult).key_version == "v0001"
    assert len(server.ask(operations.Random(16), bytes)) == 16
    public = server.ask(operations.GenerateKeyPair("root", b"1", "p256"), bytes)
    assert server.ask(operations.PublicKey("root", None), PublicHalf) == PublicHalf(
        label="root", key_id=b"1", public=public
    )
    assert len(server.ask(operations.Sign("root", None, "ECDSA", bytes(32)), bytes)) == 64
    assert server.ask(operations.Retire("v0001"), type(None)) is None
    assert {token.label for token in server.ask(operations.ListTokens(), list[TokenInfo])} == {"a", "b"}


def test_it_says_what_went_wrong_and_goes_on(softhsm: SoftHsm, server: Server) -> None:
    server.open(softhsm.agent_config("a"))
    server.ask(operations.GenerateKek("aes"), KeyVersion)
    wrapped = server.ask(operations.Wrap(DEK), WrappedKey)
    changed = WrappedKey(m=wrapped.m, k=wrapped.k, iv=wrapped.iv, ct=bytes(48))
    with pytest.raises(IntegrityError):
        server.ask(operations.Unwrap(changed), bytes)
    with pytest.raises(BadConfig):
        server.ask(operations.Random(0), bytes)
    assert server.ask(operations.Unwrap(wrapped), bytes) == DEK


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"lib": "/absent.so"}, "BadConfig"),
        ({"library_parameters": "x"}, "SlotUnavailable"),
        ({"token_label": "absent"}, "SlotUnavailable"),
    ],
)
def test_it_says_why_it_cannot_open_and_ends(
    softhsm: SoftHsm, server: Server, changed: dict[str, str], kind: str
) -> None:
    reply = server.open(softhsm.agent_config("a", **changed))
    assert reply.failure is not None
    assert reply.failure.kind == kind
    server.thread.join(60)
    assert server.problems == []


def test_a_wrong_pin_is_said_at_the_opening(softhsm: SoftHsm) -> None:
    server = Server(pin="wrong-pin-xyzzy")
    reply = server.open(softhsm.agent_config("a"))
    assert reply.failure is not None
    assert reply.failure.kind == "PinBlocked"
    assert "xyzzy" not in reply.failure.message
    server.close()
    server.no_thread_is_left()


def test_without_a_login_it_only_lists_tokens(softhsm: SoftHsm, server: Server) -> None:
    assert server.open(AgentConfig(lib=SOFTHSM, login=False, max_sessions=1)).failure is None
    assert len(server.ask(operations.ListTokens(), list[TokenInfo])) == 2
    with pytest.raises(BadConfig, match="without a login"):
        server.ask(operations.Keys(), list[KeyVersion])


def test_a_module_that_fails_at_the_list_of_tokens_says_so(softhsm: SoftHsm, module: Module) -> None:
    server = Server()
    server.open(AgentConfig(lib=SOFTHSM, login=False, max_sessions=1))
    with (
        spoiled(module, C_GetSlotList=answer(0x30)),
        pytest.raises(SlotUnavailable, match="listing tokens: the module says DeviceError"),
    ):
        server.ask(operations.ListTokens(), list[TokenInfo])
    server.close()
    server.no_thread_is_left()


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc1"])
def test_nonsense_ends_it(softhsm: SoftHsm, server: Server, sent: bytes) -> None:
    server.open(softhsm.agent_config("a"))
    server.channel.sendall(sent)
    server.thread.join(60)
    assert not server.thread.is_alive()


def test_a_server_that_goes_before_it_opened_ends_it(server: Server) -> None:
    assert server.receive().number == LOADED
    server.channel.shutdown(socket.SHUT_WR)
    server.thread.join(60)
    assert server.problems == []


def test_a_call_that_hangs_keeps_it_from_saying_goodbye(softhsm: SoftHsm, module: Module) -> None:
    release, entered = threading.Event(), threading.Event()

    def hang(real: Callable[..., int], *arguments: int) -> int:
        entered.set()
        release.wait(120)
        return real(*arguments)

    server = Server()
    server.open(softhsm.agent_config("a", max_sessions=2))
    with spoiled(module, C_GenerateRandom=hang):
        server.channel.sendall(encode(Request(7, operations.Random(8))))
        assert entered.wait(60)
        server.close()
        release.set()
        server.no_thread_is_left()
    # SoftHSM was not finalised: another user of it goes on.
    softhsm.device("a", module=module).start()


def test_errors_that_are_not_ours_are_told_by_their_type_alone() -> None:
    told = failure(ValueError("a secret"))
    assert (told.kind, told.message) == ("SlotUnavailable", "the agent failed with ValueError")
    assert failure(SessionLost("gone", ckr="X")).kind == "SlotUnavailable"
    assert failure(UnclearFault("?")).kind == "SlotUnavailable"
    assert failure(IntegrityError("!", ckr="Y")).kind == "IntegrityError"


def test_a_reply_that_no_frame_holds_is_a_failure(
    softhsm: SoftHsm, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.open(softhsm.agent_config("a"))
    monkeypatch.setattr("hsm.protocol.LARGEST", 1000)
    with pytest.raises(SlotUnavailable, match="the agent failed with BadFrame"):
        server.ask(operations.Random(2000), bytes)


def test_an_error_fits_a_frame_whatever_it_names(softhsm: SoftHsm, server: Server) -> None:
    server.open(softhsm.agent_config("a"))
    with pytest.raises(KeyMissing, match="kkkk") as raised:
        server.ask(operations.Sign("k" * 30000, b"\1" * 20000, "ECDSA", b""), bytes)
    assert len(str(raised.value)) == 4096


def test_a_device_lists_no_tokens(softhsm: SoftHsm, module: Module) -> None:
    with pytest.raises(BadConfig):
        perform(softhsm.device("a", module=module), operations.ListTokens())


def test_no_request_is_lost_between_many_threads(softhsm: SoftHsm, server: Server) -> None:
    server.open(softhsm.agent_config("a"))
    numbers = set()
    for number in range(FIRST, FIRST + 1000):
        server.channel.sendall(encode(Request(number, operations.Random(16))))
        if number >= FIRST + 50:
            numbers.add(server.receive().number)
    numbers |= {server.receive().number for _ in range(50)}
    assert numbers == set(range(FIRST, FIRST + 1000))


def test_it_complains_of_no_search_that_never_began() -> None:
    heard: list[Any] = []
    hook = quieter(heard.append)
    for error in (pkcs11.OperationNotInitialized(), ValueError()):
        hook(SimpleNamespace(exc_value=error))
    assert [type(found.exc_value) for found in heard] == [ValueError]
