# SPDX-License-Identifier: EUPL-1.2
"""Policies whose names hold claims: `team-{{.team}}`. A claim fills its place as text and as nothing else (SL-04)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from nhi.auth.jwt.claims import claim
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.framework.quote import quote

_PLACE: Final = re.compile(r"\{\{\s*((?:\.[A-Za-z_][A-Za-z0-9_]*)+)\s*\}\}")
_TEXT: Final = re.compile(r"[^\x00-\x20,*+{}\x7f]{1,256}")


def check(policies: Sequence[str]) -> None:
    """Make sure that every place can be filled. Raises `Malformed`."""
    for index, policy in enumerate(policies):
        rest = _PLACE.sub("", policy)
        if "{{" in rest or "}}" in rest:
            raise Malformed(f"failed to parse template policy [{index}]: only {{{{.claim}}}} is understood")


def fill(policies: Sequence[str], claims: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the names, filled. Raises `Malformed` where one cannot be: nothing is left out silently (SL-05)."""
    return tuple(_fill(index, policy, claims) for index, policy in enumerate(policies))


def _fill(index: int, policy: str, claims: Mapping[str, Json]) -> str:
    def value(place: re.Match[str]) -> str:
        found = claim(claims, place[1].replace(".", "/"))
        text = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
        if not isinstance(text, str) or not _TEXT.fullmatch(text):
            raise Malformed(
                f"failed to template policy [{index}]: the claim {quote(place[1])} does not fit into a name"
            )
        return text

    return _PLACE.sub(value, policy)
