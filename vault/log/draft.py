# SPDX-License-Identifier: EUPL-1.2
"""What a record says before it has its place in the log."""

from __future__ import annotations

import msgspec

Pieces = tuple[bytes, ...]
"""What makes up a run of members, one piece after the other; any may be empty."""


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A record in encoded pieces, between which the writer puts what only the log knows: its place, time and chain.

    Members stand in the order of RFC 8785, in runs of what follows each other there.
    """

    opening: Pieces
    """From the opening brace to the last member before `log`, with its comma."""
    decision: Pieces
    """From `outcome` to the last member before `prev_hash`, with its comma."""
    request: Pieces
    """From `request.id` to the last member before `seq`, with its comma."""
    status: Pieces
    """From `span_id` to `tenant`, with its comma."""
    closing: Pieces
    """From `timestamp` to the closing brace."""
    tenant: str
    """The namespace whose chain it belongs to."""
