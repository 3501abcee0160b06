# SPDX-License-Identifier: EUPL-1.2
"""The only way in which a refusal or a warning repeats what a client sent (SL-51).

Only names may be repeated: names in the request's path (of a mount, role, key, policy, user), which the audit record
has in clear too, and names of mounts, policies, parameters and metadata keys, which are no secrets either. Other
values of a body, a query or a header are never repeated: a password in the wrong field would end up in logs. A
message names the wrong field and says what would be right. `tests/house/test_refusals.py` checks every message.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 128
"""Characters that are repeated of a name."""
MOST = 100
"""Names of a list that are repeated, however long the list is."""


def quote(name: str) -> str:
    """Return a name as a message repeats it: cut where it is long, and without what does something to a terminal."""
    cut = name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
    return (
        cut
        if cut.isprintable()
        else "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in cut)
    )


def quoted_list(names: Iterable[str]) -> str:
    """Return names as OpenBao's messages list them: in order, each in double quotes."""
    return " ".join(f'"{quote(name)}"' for name in sorted(names))


def quoted_words(names: Iterable[str]) -> str:
    """Return the first names of a sorted list, separated by blanks."""
    words = sorted(names)
    joined = " ".join(words)
    if len(joined) <= LONGEST and joined.isprintable():
        return joined
    more = len(words) - MOST
    return " ".join([*map(quote, words[:MOST]), *([f"and {more} more"] if more > 0 else [])])
