# SPDX-License-Identifier: EUPL-1.2
"""What a verified token says, and what a role makes of it. No message repeats a claim's value (SL-51)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from nhi.auth.jwt.model import Role
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.framework.globs import fits
from vault.framework.quote import quote

_MOST_GROUPS: Final = 2000
"""Groups that one login may bring: each is looked for while others wait to write."""


def claim(claims: Mapping[str, Json], name: str) -> Json:
    """Return a claim, by its name or by a JSON pointer (RFC 6901); None where there is none."""
    if not name.startswith("/"):
        return claims.get(name)
    found: Json = claims
    for part in name[1:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, list) and re.fullmatch(r"0|[1-9][0-9]{0,5}", key) and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


def user(claims: Mapping[str, Json], role: Role) -> str:
    """Return who logs in, as the token says it (SL-21). Raises `Malformed`."""
    name = role.user_claim
    found = claim(claims, name) if role.user_claim_json_pointer else claims.get(name)
    if found is None:
        raise Malformed(f'claim "{quote(name)}" not found in token')
    if not isinstance(found, str):
        raise Malformed(f'claim "{quote(name)}" could not be converted to string')
    if not found:
        raise Malformed("missing name in alias")
    return found


def metadata(claims: Mapping[str, Json], role: Role) -> dict[str, str]:
    """Return the claims that become metadata. Raises `Malformed`."""
    found: dict[str, str] = {}
    for name, key in (role.claim_mappings or {}).items():
        value = claim(claims, name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise Malformed(f"error converting claim '{quote(name)}' to string")
        found[key] = value
    return found


def groups(claims: Mapping[str, Json], role: Role, provider: str = "") -> tuple[str, ...]:
    """Return the user's groups at the provider, as this kind of provider tells them. Raises `Malformed`."""
    if not role.groups_claim:
        return ()
    found = claim(claims, role.groups_claim)
    if provider == "secureauth" and isinstance(found, str):
        found = found.split(",")
    if found is None and provider == "azure":
        raise Malformed(
            f'failed to fetch groups: "{quote(role.groups_claim)}" claim not found in token: where a user is in too many '
            "groups Azure lists none; let it list only those assigned to the application"
        )
    if found is None:
        raise Malformed(f'failed to fetch groups: "{quote(role.groups_claim)}" claim not found in token')
    if isinstance(found, Mapping):
        raise Malformed(f'"{quote(role.groups_claim)}" claim could not be converted to string list')
    listed = found if isinstance(found, list) else [found]
    if not all(isinstance(one, str) for one in listed):
        raise Malformed("value in groups claim could not be parsed as string")
    if len(listed) > _MOST_GROUPS:
        raise Malformed(f"the groups claim lists more than {_MOST_GROUPS} groups")
    return tuple(listed)


def check_bound(claims: Mapping[str, Json], role: Role) -> None:
    """Make sure that each bound claim has one of its values; an empty list has none. Raises `Malformed`."""
    for name, wanted in sorted((role.bound_claims or {}).items()):
        found = claim(claims, name)
        if found is None:
            raise Malformed(f'claim "{quote(name)}" is missing')
        if isinstance(found, Mapping) or isinstance(wanted, Mapping):
            raise Malformed("received claim is not a string, bool, int or list")
        if not _meet(_listed(wanted), _several(found), glob=role.bound_claims_type == "glob"):
            raise Malformed(f'claim "{quote(name)}" does not match any associated bound claim values')


def _several(found: Json) -> Sequence[Json]:
    """Return the values of a claim; of a list, those that are text or truth: numbers in lists meet nothing."""
    if isinstance(found, list):
        return [one for one in found if isinstance(one, str | bool)]
    return (found,)


def _listed(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list | tuple) else (value,)


def _meet(wanted: Iterable[Json], found: Sequence[Json], *, glob: bool) -> bool:
    if glob:
        texts = [text for text in found if isinstance(text, str)]
        return any(fits(text, one) for one in wanted for text in texts)
    return any(_equal(one, other) for one in wanted for other in found)


def _equal(one: Json, other: Json) -> bool:
    """Whether two JSON values are equal; true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
