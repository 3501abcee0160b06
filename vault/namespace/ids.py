# SPDX-License-Identifier: EUPL-1.2
"""Ids that say which namespace they belong to: tokens, accessors and the keys of tokens end in `.<namespace id>`.

This is the one place that writes or reads that end. Those of the root namespace have none.
"""

from __future__ import annotations

import re
from typing import Final

from vault.framework.call import ROOT, Namespace
from vault.values.ids import NamespaceId

LENGTH: Final = 6
"""Characters of a namespace's id, in base 62."""
_SHAPE: Final = re.compile(rf"[0-9A-Za-z]{{{LENGTH}}}")
_KINDS: Final = ("s.", "b.")
"""How the tokens begin whose own form has a dot."""


def bound(text: str, namespace: Namespace) -> str:
    """Return an id as it is in `namespace`."""
    return text if namespace.id == ROOT.id else f"{text}.{namespace.id}"


def namespace_id(text: str) -> NamespaceId | None:
    """Return the id of the namespace that an id belongs to; None for one that nobody can have made.

    It says where to look, never that there is anything: whoever finds something there has to have asked for `text`.
    """
    start = 2 if text.startswith(_KINDS) else 0
    head, dot, end = text[start:].partition(".")
    if not dot:
        return ROOT.id
    return NamespaceId(end) if head and _SHAPE.fullmatch(end) else None
