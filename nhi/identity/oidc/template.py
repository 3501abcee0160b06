# SPDX-License-Identifier: EUPL-1.2
"""Templates of claims: JSON in which `{{identity.entity.name}}` and the like stand for JSON values of their own.

A value is encoded as JSON where it is put in, so none can change the claims around it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

from vault.framework import schema
from vault.framework.errors import Malformed
from vault.framework.fields import Mismatch, parse_duration
from vault.framework.identity import AliasFacts, IdentityFacts
from vault.values.ids import NOBODY
from vault.values.times import Seconds

RESERVED: Final = (
    "iat",
    "aud",
    "exp",
    "iss",
    "sub",
    "namespace",
    "nonce",
    "auth_time",
    "at_hash",
    "c_hash",
)
"""Claims that no template sets."""
_DIRECTIVE: Final = re.compile(r"\{\{(.*?)(?:\}\}|\Z)", re.DOTALL)
_NOBODY: Final = IdentityFacts(entity_id=NOBODY, entity_name="")
_NO_VALUE: Final = "error parsing template: no value could be found for one of the template directives"


def plain(text: str) -> str:
    """Return a template that may have come in base64."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return text


def check(text: str) -> None:
    """Refuse a template that cannot become claims. Raises `Malformed`."""
    if not text:
        return
    claims = populate(text, _NOBODY, Seconds(0))
    for name in RESERVED:
        if name in claims:
            raise Malformed(f'top level key "{name}" not allowed. Restricted keys: {", ".join(RESERVED)}')


def populate(text: str, facts: IdentityFacts, now: Seconds) -> Mapping[str, Any]:
    """Return the claims of a template for an entity; `now` in seconds. Raises `Malformed`."""
    if not text:
        return {}
    before, *rest = text.split("{{")
    if "}}" in before or any(piece.count("}}") != 1 for piece in rest):
        raise Malformed("error parsing template: unbalanced templating characters")
    filled = _DIRECTIVE.sub(lambda found: _encoded(found[1].strip(), facts, now), text)
    try:
        return schema.decode_object(filled.encode())
    except Malformed as wrong:
        _, _, tail = wrong.message.partition(": ")
        raise Malformed(f"error parsing template JSON: {tail}") from None


def _encoded(directive: str, facts: IdentityFacts, now: Seconds) -> str:
    return schema.encode(_value(directive.split("."), facts, now)).decode()


def _value(parts: list[str], facts: IdentityFacts, now: Seconds) -> object:
    match parts:
        case ["identity", "entity", "id"]:
            return facts.entity_id
        case ["identity", "entity", "name"]:
            return facts.entity_name
        case ["identity", "entity", "metadata"]:
            return facts.metadata
        case ["identity", "entity", "metadata", *key]:
            return facts.metadata.get(".".join(key), "")
        case ["identity", "entity", "groups", "names"]:
            return [group.name for group in facts.groups.values()] or None
        case ["identity", "entity", "groups", "ids"]:
            return list(facts.groups) or None
        case ["identity", "entity", "aliases", accessor, *rest] if rest:
            return _alias(facts.aliases.get(accessor, AliasFacts("", "")), rest)
        case ["time", "now"]:
            return now
        case ["time", "now", ("plus" | "minus") as sign, *span] if span:
            return now + _span(".".join(span)) * (1 if sign == "plus" else -1)
    raise Malformed(_NO_VALUE)


def _alias(alias: AliasFacts, parts: list[str]) -> object:
    match parts:
        case ["id"]:
            return alias.id
        case ["name"]:
            return alias.name
        case ["metadata"]:
            return alias.metadata
        case ["custom_metadata"]:
            return alias.custom_metadata
        case ["metadata", *key]:
            return alias.metadata.get(".".join(key), "")
        case ["custom_metadata", *key]:
            return alias.custom_metadata.get(".".join(key), "")
    raise Malformed(_NO_VALUE)


def _span(text: str) -> int:
    try:
        return parse_duration(text)
    except Mismatch:
        raise Malformed(_NO_VALUE) from None
