# SPDX-License-Identifier: EUPL-1.2
"""Frames between server and agent: any cut of the stream gives the same frames, and nonsense is refused."""

import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm import operations
from hsm.errors import BadConfig, PinBlocked, SlotUnavailable
from hsm.key_slot import WrappedKey
from hsm.protocol import LARGEST, AgentFailure, AgentReply, BadFrame, FrameReader, Request, decode, encode


@given(st.lists(st.binary(max_size=300)), st.integers(1, 50))
def test_any_cut_of_the_stream_gives_the_same_frames(data: list[bytes], step: int) -> None:
    requests = [Request(n, operations.Sign("k", None, "ECDSA", part)) for n, part in enumerate(data)]
    stream = b"".join(map(encode, requests))
    reader = FrameReader()
    bodies = [body for at in range(0, len(stream), step) for body in reader.feed(stream[at : at + step])]
    assert [decode(body, Request) for body in bodies] == requests


@given(st.lists(st.binary(max_size=64), max_size=20))
def test_nonsense_is_a_bad_frame_and_nothing_else(parts: list[bytes]) -> None:
    reader = FrameReader()
    try:
        for part in parts:
            for body in reader.feed(part):
                decode(body, Request)
    except BadFrame:
        pass


@given(st.binary(max_size=200))
def test_a_body_decodes_or_is_a_bad_frame(body: bytes) -> None:
    for kind in (Request, AgentReply, operations.AgentConfig):
        try:
            assert isinstance(decode(body, kind), kind)
        except BadFrame:
            pass


_FIRST = """
import os, sys, threading
from hsm.client.agent_client import _decoded
from hsm.protocol import AgentReply, Request, decode
from hsm.operations import ProbeResult

body = sys.stdin.buffer.read()
sys.setswitchinterval(1e-6)

def first(meet):
    meet.wait()
    WHAT

for _ in range(60):
    child = os.fork()
    if not child:
        meet = threading.Barrier(8)
        threads = [threading.Thread(target=first, args=(meet,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("decode(body, Request)", encode(Request(7, operations.Random(4)))[4:]),
        (
            "decode(body, AgentReply)",
            encode(AgentReply(7, msgspec.Raw(b"\xc0"), AgentFailure("BadConfig", "no")))[4:],
        ),
        ("_decoded(body, ProbeResult)", msgspec.msgpack.encode(operations.ProbeResult(token=None))),
    ],
)
def test_threads_that_are_the_first_to_decode_a_message_may_be_so_at_once(what: str, body: bytes) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _FIRST.replace("WHAT", what)], input=body, capture_output=True, check=True
    )
    assert ended.stdout.split() == [b"0"] * 60, ended.stderr


@pytest.mark.parametrize("size", [0, LARGEST + 1, 0xFFFFFFFF])
def test_a_size_that_no_frame_has_is_refused_at_once(size: int) -> None:
    with pytest.raises(BadFrame):
        FrameReader().feed(size.to_bytes(4, "big"))


def test_a_message_that_is_too_large_is_refused() -> None:
    with pytest.raises(BadFrame):
        encode(Request(1, operations.Sign("k", b"1", "EDDSA", bytes(LARGEST))))


@pytest.mark.parametrize(
    "operation",
    [
        operations.Wrap(bytes(32)),
        operations.Unwrap(WrappedKey(m="aes-gcm", k="v0001", iv=b"i", ct=b"c")),
        operations.Probe(),
        operations.Random(5),
        operations.PublicKey("k", b"1"),
        operations.GenerateKeyPair("k", b"1", "p256"),
        operations.GenerateKek("aes", modifiable=True),
        operations.Keys(),
        operations.Retire("v0001"),
        operations.ListTokens(),
    ],
)
def test_an_operation_arrives_as_it_was_sent(operation: operations.Operation) -> None:
    (body,) = FrameReader().feed(encode(Request(7, operation)))
    assert decode(body, Request) == Request(7, operation)


def test_a_failure_becomes_its_error_again() -> None:
    found = AgentFailure("PinBlocked", "no", "PinIncorrect").error()
    assert type(found) is PinBlocked
    assert (str(found), found.ckr) == ("no", "PinIncorrect")
    assert type(AgentFailure("BadConfig", "x").error()) is BadConfig


@pytest.mark.parametrize("kind", ["SystemExit", "annotations", "", "NoSuchThing"])
def test_an_unknown_failure_is_an_agent_that_does_not_work(kind: str) -> None:
    assert type(AgentFailure(kind, "x").error()) is SlotUnavailable


def test_a_reply_carries_any_result() -> None:
    raw = msgspec.Raw(msgspec.msgpack.encode({"a": [1, b"2"]}))
    (body,) = FrameReader().feed(encode(AgentReply(3, raw)))
    found = decode(body, AgentReply)
    assert msgspec.msgpack.decode(found.result) == {"a": [1, b"2"]}
    assert found.failure is None


def test_a_body_nested_too_deep_is_a_bad_frame() -> None:
    with pytest.raises(BadFrame):
        decode(b"\x92\x01" + b"\x91" * 60000, AgentReply)
