# SPDX-License-Identifier: EUPL-1.2
"""What a record says before it has its place in the log."""

from __future__ import annotations

from typing import Final

import msgspec

from vault.log.format.tree import BegunLeaf


class Frame(msgspec.Struct, frozen=True, gc=False):
    """What a record may have in common with others of one caller, path and answer: members in the order of RFC 8785, encoded.

    Between its parts stand those that each record has of its own. A part ends with the name of the member that follows it,
    and with the quotation mark that opens that one's value.
    """

    opening: bytes
    """From the opening brace to the last member before `log`, with its comma."""
    decision: bytes
    """From `outcome` to the name `prev_hash`."""
    resource: bytes
    """From `resource` to the name `seq`."""
    status: bytes
    """From `status_code` to the name `tenant_prev_hash`."""
    closing: bytes
    """From the comma before `url.path` to the closing brace."""
    tenant: str
    """The namespace whose chain it belongs to."""
    begun: BegunLeaf | None = None
    """The leaf of a record as far as the opening goes, where more records will have that; see `begin_leaf`."""


NO_FRAME: Final = Frame(b"", b"", b"", b"", b"", "")
"""Stands for one that is not made yet."""
NO_REQUEST: Final = b'",'
"""What ends `prev_hash` where no `request.id` follows."""
NO_TRACE: Final = b'"'
"""What ends `timestamp` where no `trace_id` follows."""


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A record without its place in the log: number, times and hashes, which only the log knows."""

    frame: Frame
    timestamp: bytes
    """When it happened."""
    request: bytes = NO_REQUEST
    """What ends `prev_hash`, and `request.id` with its comma."""
    span: bytes = b""
    """`span_id`, with its comma."""
    trace: bytes = NO_TRACE
    """What ends `timestamp`, and `trace_id` with the comma before it."""
