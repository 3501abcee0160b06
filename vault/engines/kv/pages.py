# SPDX-License-Identifier: EUPL-1.2
"""Pages of listings: where one begins, and how its answer names the next (RFC 8288, ESA-KV-011).

A cursor is the last name of a page, as text that a client need not look into. It says no more than the page, so where a
policy or a filter hides names no page is named: whoever is shown a part goes on by `after`.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Final

from vault.engines.kv.params import Listing, ScanParams
from vault.framework.call import Call
from vault.framework.errors import Malformed

_LONGEST: Final = 4096
"""Characters of a cursor that are looked at: those of the longest path that is stored, and more."""
_MOST: Final = 1 << 32
"""A limit from which on no page is full."""


def begin(params: Listing) -> str:
    """Return the name after which a page begins. Raises `Malformed` for a cursor that is none, or beside `after`."""
    if not params.cursor:
        return params.after
    if params.after:
        raise Malformed("cursor and after mean different pages")
    text = params.cursor[: _LONGEST + 1]
    try:
        return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise Malformed("cursor is none of a list") from None


def wanted(params: Listing) -> int:
    """Return how many names to look for: one more than a page has, to know whether there is another; 0 for all."""
    limit = max(params.limit, 0)
    return limit + 1 if 0 < limit < _MOST else limit


def cut(call: Call, params: Listing, names: Sequence[str]) -> tuple[Sequence[str], Mapping[str, str] | None]:
    """Return the names of a page of those that were found, and the headers that name the next one; None where it is the last."""
    if not 0 < params.limit < len(names):
        return names, None
    names = names[: params.limit]
    if call.options.readable or (call.decision is not None and call.decision.filter_path):
        return names, None
    cursor = urlsafe_b64encode(names[-1].encode()).decode().rstrip("=")
    verb = f"{call.operation.value}=true&" if call.head.method == "GET" else ""
    depth = f"&depth={params.depth}" if isinstance(params, ScanParams) else ""
    return names, {"link": f'<?{verb}cursor={cursor}&limit={params.limit}{depth}>; rel="next"'}
