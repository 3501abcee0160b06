# SPDX-License-Identifier: EUPL-1.2
"""What `otlp` posts, and what its receivers answer."""

from __future__ import annotations

import msgspec

from vault.log.export.otlp import export_request
from vault.log.forward.batch import Batch


class _PartialSuccess(msgspec.Struct, rename="camel"):
    rejected_log_records: int = 0


class _Answer(msgspec.Struct, rename="camel"):
    partial_success: _PartialSuccess | None = None


def body(batch: Batch) -> bytes:
    """Return the request with a batch."""
    return export_request(record.line for record in batch.records)


def rejected(answer: bytes) -> int:
    """Return how many records a receiver will not have; they are not to be sent again (OTLP, partial success)."""
    try:
        said = msgspec.json.decode(answer, type=_Answer, strict=False)
    except (msgspec.MsgspecError, ValueError):
        return 0
    return 0 if said.partial_success is None else max(0, said.partial_success.rejected_log_records)
