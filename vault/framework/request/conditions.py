# SPDX-License-Identifier: EUPL-1.2
"""Conditions of a request: `If-Match` and `If-None-Match` (RFC 9110, section 13.1).

The front takes them from the head as they came. They are read by who knows what they are about, once the caller is allowed
to know it too: whoever may not read is refused as ever, whatever stands in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from vault.framework.errors import Malformed, PreconditionFailed

_LONGEST: Final = 4096
"""Bytes of all lines of one condition."""
_MOST: Final = 64
"""Tags in one condition."""
_TAG: Final = re.compile(rb'[ \t,]*+(W/)?("[\x21\x23-\x7e\x80-\xff]*+")[ \t]*+(?:,|\Z)')
"""The next tag of a list, with what stands before and behind it (RFC 9110, sections 5.6.1 and 8.8.3).

Nothing in it is tried in two ways, so a list is read in linear time.
"""
_BETWEEN: Final = b" \t,"
_IF_MATCH: Final = b"if-match"
_IF_NONE_MATCH: Final = b"if-none-match"


class Conditions(msgspec.Struct, frozen=True, eq=False):
    """The conditions of one request as they came, the lines of each as one list; None for a header that is not there."""

    if_match: bytes | None = None
    if_none_match: bytes | None = None


class EntityTags(msgspec.Struct, frozen=True):
    """The entity tags of one condition, in their quotes. `anything` is `*`, which stands alone."""

    anything: bool = False
    strong: Sequence[bytes] = ()
    weak: Sequence[bytes] = ()

    def strongly(self, tag: bytes) -> bool:
        """Whether a strong tag is among the strong ones (RFC 9110, section 8.8.3.2)."""
        return tag in self.strong

    def weakly(self, tag: bytes) -> bool:
        """Whether a tag is among them, no matter how strong they are."""
        return tag in self.strong or tag in self.weak


def refuse_unheeded(asked: Conditions) -> None:
    """Refuse a write of what has no entity tag, unless its conditions hold for whatever is there (RFC 9110, section 13.1).

    No tag is matched, and none is met again; whether there is anything, which `*` asks, is not looked for.
    Raises `PreconditionFailed`, and `Malformed` for what cannot be read.
    """
    unwanted = None if asked.if_none_match is None else entity_tags("If-None-Match", asked.if_none_match)
    if asked.if_match is not None:
        entity_tags("If-Match", asked.if_match)
        raise PreconditionFailed("this has no entity tags, so If-Match does not hold")
    if unwanted is not None and unwanted.anything:
        raise PreconditionFailed("this has no entity tags, so If-None-Match: * is not carried out")


def conditions_of(first: Mapping[bytes, bytes], headers: Sequence[tuple[bytes, bytes]]) -> Conditions | None:
    """Return the conditions in a head, None without any. `first` has the first of each header."""
    if _IF_MATCH not in first and _IF_NONE_MATCH not in first:
        return None
    return Conditions(_lines(headers, _IF_MATCH), _lines(headers, _IF_NONE_MATCH))


def _lines(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    found = [value for name, value in headers if name == wanted]
    return b", ".join(found) if found else None


def entity_tags(name: str, value: bytes) -> EntityTags:
    """Read one condition; `name` is its header's. Raises `Malformed` for what is no list of entity tags, and too long ones."""
    if len(value) > _LONGEST:
        raise Malformed(f"{name} has more than {_LONGEST} bytes")
    if value.strip(_BETWEEN[:2]) == b"*":
        return EntityTags(anything=True)
    strong: list[bytes] = []
    weak: list[bytes] = []
    at = 0
    while at < len(value):
        found = _TAG.match(value, at)
        if found is None:
            if value[at:].strip(_BETWEEN):
                raise Malformed(f"{name} is no list of entity tags")
            break
        (weak if found[1] else strong).append(found[2])
        if len(strong) + len(weak) > _MOST:
            raise Malformed(f"{name} has more than {_MOST} entity tags")
        at = found.end()
    if not strong and not weak:
        raise Malformed(f"{name} is no list of entity tags")
    return EntityTags(strong=tuple(strong), weak=tuple(weak))
