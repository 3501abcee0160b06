# SPDX-License-Identifier: EUPL-1.2
"""Random bytes for clients without a source of their own."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.reply import Reply
from vault.framework.route import Params
from vault.framework.tools.forms import encoded, known_form, warn_of_replaced

MAX_BYTES: Final = 131_072
"""Random bytes in one answer."""
_SOURCES: Final = frozenset({"", "platform", "seal", "all"})
_COUNT = re.compile(r"[+-]?[0-9]+")
_SEAL_WARNING: Final = "no seal/entropy augmentation available, using platform entropy source"


class RandomParams(Params, frozen=True):
    """The number of random bytes, and their encoding."""

    bytes: Annotated[int, Doc("Number of bytes, 1 to 131072.", clear=True)] = 32
    format: Annotated[str, Doc("`base64` or `hex`.", clear=True)] = "base64"
    source: Annotated[str | None, Doc("Only in the path: `platform`, `seal` or `all`.", clear=True)] = None
    urlbytes: Annotated[str | None, Doc("Only in the path: the number of bytes.", clear=True)] = None


class RandomPathParams(RandomParams, frozen=True, kw_only=True):
    """As `RandomParams`, with the rest of the path: a source, a number of bytes, or both."""

    choice: Annotated[str, Doc("A source, a number of bytes, or `source/bytes`.")]


class RandomBytes(msgspec.Struct, frozen=True):
    """Random bytes, encoded."""

    random_bytes: str


def random_choice(choice: str, usual: int) -> tuple[str, int]:
    """Return the source and the number of bytes that the rest of a path says. Raises `Malformed`."""
    source, slash, count = choice.partition("/")
    if source not in _SOURCES and not slash:
        source, count = "", source
    return source, _count(count) if count else usual


def make_random(
    call: Call, params: RandomParams, source: str, count: int, entropy: Entropy
) -> Reply[RandomBytes]:
    """Make random bytes. Raises `Malformed`."""
    if count < 1:
        raise Malformed("'bytes' cannot be less than 1")
    if count > MAX_BYTES:
        raise Malformed("'bytes' should be less than 131072")
    form = known_form(params.format)
    if source not in _SOURCES:
        raise Malformed('unsupported entropy source; must be "platform" or "seal", or "all"')
    reply = Reply(RandomBytes(encoded(entropy.bytes(count), form)))
    if source == "seal":
        reply.warnings.append(_SEAL_WARNING)
    warn_of_replaced(call, source=params.source, urlbytes=params.urlbytes)
    return reply


def _count(text: str) -> int:
    """Return the number of bytes in a path. Raises `Malformed`."""
    if not _COUNT.fullmatch(text):
        raise Malformed("error parsing url-set byte count: strconv.Atoi: invalid syntax")
    if len(text) > 18:
        raise Malformed("error parsing url-set byte count: strconv.Atoi: value out of range")
    return int(text)
