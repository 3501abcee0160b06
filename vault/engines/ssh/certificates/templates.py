# SPDX-License-Identifier: EUPL-1.2
"""Identity templates in roles: `{{identity.entity.name}}` stands for a name of whoever asks.

What a template stands for becomes a part of a list with commas. A comma in it would make two users of one, and blanks at its
ends, which no list keeps, another user: so they are refused unless the role says otherwise, and so is `*`.
"""

from __future__ import annotations

from typing import Final

from vault.engines.ssh.roles.role import LONGEST, Role
from vault.framework.errors import Malformed
from vault.framework.identity import IdentityFacts
from vault.framework.quote import quote
from vault.policy.template import selected

_NO_VALUE: Final = "no value could be found for one of the template directives"


def is_templated(text: str) -> bool:
    """Whether there is a template in a text."""
    begin = text.find("{{")
    return begin >= 0 and text.find("}}", begin + len("{{x")) > 0


def forbidden_in(role: Role) -> str:
    """Return the characters that no template of a role's lists may stand for."""
    commas = "" if role.commas_in_templates else ","
    return commas if role.wildcards_in_templates else commas + "*"


def filled(text: str, facts: IdentityFacts | None, forbidden: str) -> str:
    """Return a text of a role with its templates replaced; as it is for a caller without an entity.

    Raises `Malformed` where a template has no value, or one with a character of `forbidden`, and for what gets too long.
    """
    if facts is None or not is_templated(text):
        return text
    problem = f"template '{quote(text)}' could not be rendered -> "
    literal, *rest = text.split("{{")
    done, size = [literal], len(literal)
    if "}}" in literal:
        raise Malformed(f"{problem}unbalanced templating characters")
    for piece in rest:
        selector, end, after = piece.partition("}}")
        if not end or "}}" in after:
            raise Malformed(f"{problem}unbalanced templating characters")
        done += [_value(selector.strip(), facts, forbidden, problem), after]
        size += len(done[-2]) + len(after)
        if size > LONGEST:
            raise Malformed(f"{problem}it makes more than {LONGEST} characters")
    return "".join(done)


def _value(selector: str, facts: IdentityFacts, forbidden: str, problem: str) -> str:
    value = selected(selector, facts)
    if value is None:
        raise Malformed(problem + _missing(selector.split("."), facts))
    for one in forbidden:
        if one in value:
            raise Malformed(f'{problem}template substitution contains forbidden value: "{one}"')
    if "," in forbidden and value != value.strip():
        raise Malformed(f"{problem}template substitution begins or ends with a blank")
    return value


def _missing(parts: list[str], facts: IdentityFacts) -> str:
    """Say why there is no value, in OpenBao's words."""
    match parts:
        case ["identity", "groups", "ids", group, *_] if group not in facts.groups:
            return f'entity is not a member of group "{quote(group)}"'
        case ["identity", "groups", "names", group, *_] if all(
            its.name != group for its in facts.groups.values()
        ):
            return f'entity is not a member of group "{quote(group)}"'
        case ["identity", "entity", "aliases", accessor, *_] if accessor not in facts.aliases:
            return "alias not found"
    return _NO_VALUE
