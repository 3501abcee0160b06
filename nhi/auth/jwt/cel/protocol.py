# SPDX-License-Identifier: EUPL-1.2
"""What the server and the process that programs run in say to each other: a length of four bytes, and msgpack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, Final

import msgspec

Json = Any
"""A decoded JSON value. As in `vault.framework`, of which the process loads nothing."""
HELLO: Final = b"ready"
"""What the process says first."""


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A program: to be checked, or with claims to be run at `now`, nanoseconds since the epoch."""

    variables: tuple[tuple[str, str], ...] = ()
    expression: str
    claims: Mapping[str, Json] | None = None
    now: int = 0

    def __repr__(self) -> str:
        """Show nothing: there are claims in it."""
        return "Question(…)"


class ProgramAuth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The token that a program gives. Durations in nanoseconds, as programs have them."""

    display_name: str = ""
    policies: tuple[str, ...] = ()
    metadata: Mapping[str, str] = {}
    period: int = 0
    num_uses: int = 0
    entity_id: str = ""
    alias: str | None = None
    alias_metadata: Mapping[str, str] = {}
    groups: tuple[str, ...] = ()
    bound_cidrs: tuple[str, ...] = ()
    explicit_max_ttl: int = 0
    token_type: int = 0
    no_default_policy: bool = False
    timeless: bool = False
    """Whether it names a lease and not when that begins. OpenBao wants to know both."""
    ttl: int = 0
    max_ttl: int = 0
    renewable: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of it: one of these; nothing for a program that can be run."""

    auth: ProgramAuth | None = None
    text: str | None = None
    """Why the program refuses."""
    false: bool = False
    type: str = ""
    """The type of a result that says nothing."""
    refused: str = ""
    """What is wrong with the program, or why it failed."""


_encode = msgspec.msgpack.Encoder().encode
_question = msgspec.msgpack.Decoder(Question).decode
_answer = msgspec.msgpack.Decoder(Answer).decode


def packed(question: Question) -> bytes:
    """Return a question as it is sent."""
    return _framed(_encode(question))


def opened(data: bytes) -> Answer:
    """Return an answer. Raises `msgspec.MsgspecError`."""
    return _answer(data)


def ready(out: BinaryIO) -> None:
    """Say that questions can be asked."""
    out.write(_framed(HELLO))
    out.flush()


def heard(source: BinaryIO) -> Question | None:
    """Return the next question, None where there will be no more."""
    size = source.read(4)
    return _question(source.read(int.from_bytes(size, "big"))) if len(size) == 4 else None


def answer(out: BinaryIO, given: Answer) -> None:
    """Answer a question."""
    out.write(_framed(_encode(given)))
    out.flush()


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
