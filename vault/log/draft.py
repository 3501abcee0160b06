# SPDX-License-Identifier: EUPL-1.2
"""What a record says before it has its place in the log."""

from __future__ import annotations

import msgspec


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A record in encoded pieces, between which the writer puts what only the log knows: its place, time and chain.

    Members stand in the order of RFC 8785, so each piece is a run of members that follow each other there.
    """

    opening: bytes
    """From the opening brace to the last member before `log`, with its comma."""
    decision: bytes
    """From `outcome` to the last member before `prev_hash`, with its comma."""
    request: bytes
    """From `request.id` to the last member before `seq`, with its comma."""
    status: bytes
    """From `span_id` to `tenant`, with its comma."""
    closing: bytes
    """From `timestamp` to the closing brace."""
    tenant: str
    """The namespace whose chain it belongs to."""
