# SPDX-License-Identifier: EUPL-1.2
"""What goes between a server and its agent: frames of MessagePack, each behind its length in four bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

import msgspec

from hsm import errors
from hsm.errors import HsmError, SlotUnavailable
from hsm.operations import ANSWERS, AgentConfig, Operation

LARGEST: Final = 1 << 16
"""Bytes of the largest frame. A signature over more is made over a hash."""
LOADED: Final = 0
"""Number of the reply by which an agent says that its program is loaded."""
READY: Final = 1
"""Number of the reply by which an agent says that it is logged in, or why not."""
FIRST: Final = 2
"""Number of the first request."""

_LENGTH: Final = struct.Struct(">I")

Decoded = TypeVar("Decoded")


class BadFrame(Exception):
    """What came is no frame of ours: the other side is broken, and the connection of no more use."""


class AgentFailure(msgspec.Struct, frozen=True):
    """An error of ours on its way from the agent."""

    kind: str
    message: str
    ckr: str = ""

    def error(self) -> HsmError:
        """Return the error again; an unknown kind counts as an agent that does not work."""
        kind = getattr(errors, self.kind, SlotUnavailable)
        if not (isinstance(kind, type) and issubclass(kind, HsmError)):
            kind = SlotUnavailable
        return kind(self.message, ckr=self.ckr)


class Request(msgspec.Struct, frozen=True, array_like=True):
    """One operation, by a number that the reply has again."""

    number: int
    operation: Operation


class AgentReply(msgspec.Struct, frozen=True, array_like=True):
    """The answer to a request: a result of the operation's own type, or why there is none."""

    number: int
    result: msgspec.Raw
    failure: AgentFailure | None = None


def encode(message: msgspec.Struct) -> bytes:
    """Return the frame of a message. Raises `BadFrame` when it is larger than a frame may be."""
    body = msgspec.msgpack.encode(message)
    if len(body) > LARGEST:
        raise BadFrame(f"a message of {len(body)} bytes is larger than {LARGEST}")
    return _LENGTH.pack(len(body)) + body


_DECODERS: Final[Mapping[object, msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(kind) for kind in (AgentConfig, Request, AgentReply, *ANSWERS)
}
"""Made when this is loaded, by one thread: what msgspec would otherwise find out about a type when it is first
decoded ends the process where two threads are the first at once.
"""


def decode(body: bytes | msgspec.Raw, kind: type[Decoded]) -> Decoded:
    """Return the `AgentConfig`, `Request` or `AgentReply` in a frame's body, or the answer in a reply. Raises `BadFrame`."""
    try:
        return cast(Decoded, _DECODERS[kind].decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(f"a frame holds no {kind.__name__}") from error


class FrameReader:
    """Cuts a stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> list[bytes]:
        """Take what was received and return the bodies that are complete. Raises `BadFrame`."""
        self._buffer += received
        bodies = []
        while len(self._buffer) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer)
            if not 0 < size <= LARGEST:
                raise BadFrame(f"a frame claims {size} bytes")
            end = _LENGTH.size + size
            if len(self._buffer) < end:
                break
            bodies.append(bytes(self._buffer[_LENGTH.size : end]))
            del self._buffer[:end]
        return bodies
