# SPDX-License-Identifier: EUPL-1.2
"""Entity tags of version 2, and the conditions on them: which state of a secret a client read or means to replace.

A tag is made of a version's number, its state, when it was written, and which version of the custom metadata is shown with it.
Of the value nothing is in it: whoever may see a tag could try values against it. A secret that was removed and made again has
another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from vault.engines.kv.logic import expected_version
from vault.engines.kv.model import Row, Version
from vault.framework.errors import Malformed, PreconditionFailed
from vault.framework.fields import Json
from vault.framework.request.conditions import Conditions, EntityTags, entity_tags
from vault.values.times import Nanos

_OURS: Final = re.compile(rb'"v(\d{1,19})\.[0-9a-z.]+"')
_CHANGED: Final = "the secret is not as If-Match says"
_THERE: Final = "the secret is as If-None-Match says, or there already"
_MEANT: Final = "options.cas and If-Match mean different versions"
_NONE_MEANT: Final = "options.cas and If-None-Match mean different versions"


def etag(row: Row, version: Version, *, gone: bool) -> bytes:
    """Return the entity tag of a version; `gone` is whether it is deleted or destroyed by now."""
    if row.custom is None and not version.deleted and not gone:
        return b'"v%d.%x.a"' % (version.number, version.created)
    state = b"x" if version.destroyed else b"d" if gone else b"a"
    shown = b"" if row.custom is None else b"%x" % row.metadata_version
    return b'"v%d.%x.%b%b.%x"' % (version.number, version.created, state, shown, version.deleted)


def unchanged(asked: Conditions, tag: bytes) -> bool:
    """Whether a reader has the version that is shown already. Raises `PreconditionFailed`, `Malformed`."""
    if asked.if_match is not None:
        wanted = entity_tags("If-Match", asked.if_match)
        if not (wanted.anything or wanted.strongly(tag)):
            raise PreconditionFailed(_CHANGED)
    if asked.if_none_match is None:
        return False
    known = entity_tags("If-None-Match", asked.if_none_match)
    return known.anything or known.weakly(tag)


def check_write(
    asked: Conditions | None, row: Row | None, now: Nanos, options: Mapping[str, Json] | None = None
) -> bool:
    """Refuse a write whose conditions do not hold; return whether they say which version it replaces.

    Raises `PreconditionFailed`, and `Malformed` for what cannot be read or holds for no version together with `options.cas`.
    """
    if asked is None:
        return False
    wanted = None if asked.if_match is None else entity_tags("If-Match", asked.if_match)
    unwanted = None if asked.if_none_match is None else entity_tags("If-None-Match", asked.if_none_match)
    _require_one_meaning(wanted, unwanted, expected_version(options))
    newest = None if row is None else row.newest
    readable = newest is not None and not newest.gone(now)
    _require(wanted, unwanted, _newest_tag(row, now), readable=readable, there=newest is not None)
    return (wanted is not None and not wanted.anything) or (unwanted is not None and unwanted.anything)


def check_change(asked: Conditions | None, row: Row | None, now: Nanos) -> None:
    """Refuse a change of a secret's versions or settings whose conditions do not hold; `*` is a secret with either.

    Raises `PreconditionFailed`, and `Malformed` for what cannot be read.
    """
    if asked is None:
        return
    wanted = None if asked.if_match is None else entity_tags("If-Match", asked.if_match)
    unwanted = None if asked.if_none_match is None else entity_tags("If-None-Match", asked.if_none_match)
    there = row is not None
    _require(wanted, unwanted, _newest_tag(row, now), readable=there, there=there)


def _newest_tag(row: Row | None, now: Nanos) -> bytes:
    """Return the tag that a read of the newest version has, empty where there is no version."""
    if row is None or row.newest is None:
        return b""
    return etag(row, row.newest, gone=row.newest.gone(now))


def _require(
    wanted: EntityTags | None, unwanted: EntityTags | None, tag: bytes, *, readable: bool, there: bool
) -> None:
    """Hold conditions against a tag; `readable` and `there` are what `*` asks of either. Raises `PreconditionFailed`."""
    if wanted is not None and not (readable if wanted.anything else wanted.strongly(tag)):
        raise PreconditionFailed(_CHANGED)
    if unwanted is not None and (there if unwanted.anything else unwanted.weakly(tag)):
        raise PreconditionFailed(_THERE)


def _require_one_meaning(wanted: EntityTags | None, unwanted: EntityTags | None, cas: int | None) -> None:
    """Refuse conditions that no version can meet together with check-and-set. Raises `Malformed`."""
    if cas is None:
        return
    if unwanted is not None and unwanted.anything and cas:
        raise Malformed(_NONE_MEANT)
    if wanted is not None and not _can_be(wanted, cas):
        raise Malformed(_MEANT)


def _can_be(wanted: EntityTags, cas: int) -> bool:
    """Whether a version of this number can meet `If-Match`; 0 is none. Tags that are not ours are not understood."""
    if not cas:
        return False
    found = [_OURS.fullmatch(tag) for tag in wanted.strong]
    return wanted.anything or not found or any(each is None or int(each[1]) == cas for each in found)
