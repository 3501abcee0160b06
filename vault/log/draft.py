# SPDX-License-Identifier: EUPL-1.2
"""What a record says before it has its place in the log."""

from __future__ import annotations

from typing import Final

import msgspec


class Frame(msgspec.Struct, frozen=True, gc=False):
    """What a record may have in common with others of one caller, path and answer: members in the order of RFC 8785, encoded.

    Between its parts stand those that each record has of its own.
    """

    opening: bytes
    """From the opening brace to the last member before `log`, with its comma."""
    decision: bytes
    """From `outcome` to the last member before `prev_hash`, with its comma."""
    resource: bytes
    """`resource` and `schema`, with their commas."""
    status: bytes
    """From `status_code` to `tenant`, with its comma."""
    closing: bytes
    """From the comma before `url.path` to the closing brace."""
    tenant: str
    """The namespace whose chain it belongs to."""


NO_FRAME: Final = Frame(b"", b"", b"", b"", b"", "")
"""Stands for one that is not made yet."""


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A record without its place in the log: number, times and hashes, which only the log knows."""

    frame: Frame
    timestamp: bytes
    """When it happened."""
    request: bytes = b""
    """`request.id`, with its comma."""
    span: bytes = b""
    """`span_id`, with its comma."""
    trace: bytes = b""
    """`trace_id`, with the comma before it."""
