# SPDX-License-Identifier: EUPL-1.2
"""Words that a refusal may repeat: names of formats, algorithms and kinds, which the field's messages quote."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9/-]{0,16}")


def shown(word: str) -> str:
    """Return a word that was given as a name if it looks like one, else that it does not (SL-51)."""
    return word if _NAME.fullmatch(word) else "(not a name)"
